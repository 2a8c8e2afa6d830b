set -e
root=$1 place=$2 temporary=$3
shift 3
mount --rbind /dev "$root/dev"
mount --rbind /proc "$root/proc"
mount --rbind "$temporary" "$root$temporary"
for folder in etc run var; do mount --bind "$place/$folder" "$root/$folder"; done
exec unshare --user --map-user=101 --map-group=101 --root="$root" --wd="$place" -- "$@"
