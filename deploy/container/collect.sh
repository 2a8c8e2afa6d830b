#!/bin/sh
# Copies what the side-car runs, and nothing else, out of an installed Debian into the folder $1.
# `stockade` must be at /usr/local/bin.
set -eu
tree=$1

# What is started: the program, QEMU, and what ties QEMU's life to the program's (setpriv through sh).
programs="/usr/local/bin/stockade /usr/bin/qemu-system-x86_64 /usr/bin/setpriv /usr/bin/dash"

# What QEMU opens for the machine `microvm`: how it emulates (a module where it is not built in), its
# firmware, and what starts a PVH kernel. kvmvapic.bin is for KVM alone.
modules=$(find /usr/lib -path '*/qemu/accel-tcg-x86_64.so')
data="bios-microvm.bin pvh.bin kvmvapic.bin"

# Where one of these files is: packages of firmware have folders of their own.
firmware() {
    for folder in /usr/share/qemu /usr/share/seabios /usr/share/qboot; do
        [ -e "$folder/$1" ] && echo "$folder/$1" && return
    done
    echo "$1: in none of the folders that QEMU's firmware is known to be in" >&2
    return 1
}

# Programs name their loader by this folder, and scripts their shell by the other.
mkdir -p "$tree/usr/bin" "$tree/usr/lib" "$tree/usr/lib64" "$tree/usr/local/bin" "$tree/etc"
mkdir -p "$tree/var/lib/dpkg/status.d"
for folder in bin lib lib64; do ln -s "usr/$folder" "$tree/$folder"; done

# One file at the place that it is asked for, links followed; a second time is nothing.
keep() {
    # The folders of a path are those of the merged /usr.
    at=$tree$(realpath --no-symlinks "$1" | sed -E 's#^/(bin|lib|lib64)/#/usr/\1/#')
    [ -e "$at" ] && return
    mkdir -p "$(dirname "$at")"
    cp --dereference --preserve=mode "$1" "$at"
    owner "$1"
}

# The package of a file, for scanners and for its licence.
owner() {
    real=$(realpath "$1")
    package=$(dpkg-query --search "$real" "/${real#/usr/}" 2>/dev/null | head -n 1 | cut -d : -f 1)
    # What is of no package is ours.
    [ -n "$package" ] || return 0
    [ -e "$tree/var/lib/dpkg/status.d/$package" ] && return
    dpkg-query --status "$package" >"$tree/var/lib/dpkg/status.d/$package"
    mkdir -p "$tree/usr/share/doc/$package"
    cp --dereference "/usr/share/doc/$package/copyright" "$tree/usr/share/doc/$package/copyright"
}

for file in $programs $modules; do
    keep "$file"
    # Libraries, and the loader itself.
    for library in $(ldd "$file" | grep -o '/[^ ]*'); do keep "$library"; done
done
for name in $data; do
    file=$(firmware "$name")
    keep "$file"
done
ln -s dash "$tree/usr/bin/sh"

# Names that look the same as another program's, so that command lines and `pkill` stay as they are.
for name in socat stunnel; do ln -s stockade "$tree/usr/local/bin/$name"; done

# www-data is Debian's number; the other is nobody's.
cat >"$tree/etc/passwd" <<END
root:x:0:0:root:/:/usr/sbin/nologin
stockade:x:10001:10001:Stockade:/tmp:/usr/sbin/nologin
END
cat >"$tree/etc/group" <<END
root:x:0:
www-data:x:33:
stockade:x:10001:
END
echo 'hosts: files dns' >"$tree/etc/nsswitch.conf"
mkdir -m 1777 "$tree/tmp"

# The same packages give the same bytes, whenever they are collected.
find "$tree" -exec touch --no-dereference --date=@0 {} +
