//! Linux guests: a kernel, and an initial file system with one TLS proxy in it.
//!
//! The same files run the proxy as a process on this machine, with its own libraries.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cpio;
use crate::debian::Tree;
use crate::{Result, process};

/// A peer: a proxy of Debian's.
pub(super) struct Peer {
    /// Its name in the figures.
    pub(super) name: &'static str,
    /// The package that its version is told from.
    pub(super) package: &'static str,
    program: &'static str,
    /// Files that it loads at run time.
    modules: &'static [&'static str],
    /// Its arguments; `@ROOT@` stands for the file system's root.
    arguments: &'static str,
    /// Its configuration, with `@ROOT@`, `@ACCEPT@` and `@CONNECT@`.
    configuration: &'static str,
    /// The same for HTTP, where it is read and not only carried.
    requests: Option<&'static str>,
}

/// The peers that are measured beside ours. None of them keeps sessions or sends tickets,
/// although ours does: theirs would make their handshakes dearer.
pub(super) const PEERS: [Peer; 2] = [
    Peer {
        name: "stunnel",
        package: "stunnel4",
        program: "usr/bin/stunnel4",
        modules: &[],
        arguments: "@ROOT@/tmp/proxy.conf",
        configuration: "\
foreground = yes
pid =
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
socket = a:SO_REUSEADDR=yes
[tunnel]
accept = @ACCEPT@
connect = @CONNECT@
cert = @ROOT@/etc/cert.pem
key = @ROOT@/etc/key.pem
sslVersionMin = TLSv1.3
options = NO_TICKET
sessionCacheSize = 1
",
        requests: None,
    },
    Peer {
        name: "nginx",
        package: "nginx",
        program: "usr/sbin/nginx",
        modules: &["usr/lib/nginx/modules/ngx_stream_module.so"],
        arguments: "-e stderr -p @ROOT@/tmp -c @ROOT@/tmp/proxy.conf",
        configuration: "\
load_module @ROOT@/bin/ngx_stream_module.so;
daemon off;
master_process off;
pid @ROOT@/tmp/pid;
user root;
error_log stderr crit;
events { worker_connections 8192; }
stream {
  server {
    listen @ACCEPT@ ssl backlog=4096;
    proxy_pass @CONNECT@;
    ssl_certificate @ROOT@/etc/cert.pem;
    ssl_certificate_key @ROOT@/etc/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
  }
}
",
        // A large answer is never written to a file, and no connection ends after so many requests.
        requests: Some(
            "\
daemon off;
master_process off;
pid @ROOT@/tmp/pid;
user root;
error_log stderr crit;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 1000000000;
  proxy_max_temp_file_size 0;
  client_body_temp_path @ROOT@/tmp/body;
  proxy_temp_path @ROOT@/tmp/proxied;
  fastcgi_temp_path @ROOT@/tmp/fastcgi;
  uwsgi_temp_path @ROOT@/tmp/uwsgi;
  scgi_temp_path @ROOT@/tmp/scgi;
  upstream backend {
    server @CONNECT@;
    keepalive 100;
    keepalive_requests 1000000000;
  }
  server {
    listen @ACCEPT@ ssl backlog=4096;
    ssl_certificate @ROOT@/etc/cert.pem;
    ssl_certificate_key @ROOT@/etc/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    client_max_body_size 0;
    location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection \"\";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto https;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header Forwarded \"for=$remote_addr;proto=https;host=$http_host\";
    }
  }
}
",
        ),
    },
];

/// Drivers of a virtio network card on PCI, in the order in which they are loaded; those that
/// a kernel lacks are built into it.
const DRIVERS: [&str; 8] = [
    "virtio_ring",
    "virtio",
    "virtio_pci_modern_dev",
    "virtio_pci_legacy_dev",
    "virtio_pci",
    "failover",
    "net_failover",
    "virtio_net",
];

/// Loads a program and its libraries.
const LOADER: &str = "ld-linux-x86-64.so.2";

/// What the C library loads by itself when a thread ends; no program names it.
const UNWINDER: &str = "libgcc_s.so.1";

/// What busybox stands in for.
const APPLETS: [&str; 8] = [
    "sh", "mount", "insmod", "cat", "ip", "sed", "mkdir", "reboot",
];

/// The guest's first process.
const INIT: &str = "\
#!/bin/sh
export PATH=/bin
mount -t proc none /proc
mount -t sysfs none /sys
mount -t devtmpfs none /dev
for driver in $(cat /drivers/order); do insmod /drivers/$driver; done
for word in $(cat /proc/cmdline); do
  case $word in
    bench.address=*) address=${word#*=} ;;
    bench.accept=*) export BENCH_ACCEPT=${word#*=} ;;
    bench.connect=*) export BENCH_CONNECT=${word#*=} ;;
    bench.configuration=*) export BENCH_CONFIGURATION=${word#*=} ;;
  esac
done
ip link set lo up
ip address add $address dev eth0
ip link set eth0 up
ulimit -n 20000
sh /start /
reboot -f
";

/// Starts the proxy, in the guest and natively: the argument is the root of its files.
const START: &str = "\
#!/bin/sh
root=$(cd \"$1\" && pwd)
root=${root%/}
mkdir -p \"$root/tmp/logs\"
sed -e \"s|@ROOT@|$root|g\" -e \"s|@ACCEPT@|$BENCH_ACCEPT|\" -e \"s|@CONNECT@|$BENCH_CONNECT|\" \\
  \"$root/etc/${BENCH_CONFIGURATION:-proxy}.conf\" >\"$root/tmp/proxy.conf\"
exec \"$root/lib64/@LOADER@\" --library-path \"$root/lib\" \"$root/bin/proxy\" @ARGUMENTS@
";

/// Makes the guest in `folder`: `vmlinuz`, `initrd.gz`, `root` and `native`.
pub(super) fn make(peer: &Peer, tree: &Tree, identity: &Path, folder: &Path) -> Result<()> {
    let root = folder.join("root");
    // Of an earlier run.
    let _ = fs::remove_dir_all(folder);
    for inside in [
        "bin", "dev", "drivers", "etc", "lib", "lib64", "proc", "sys", "tmp",
    ] {
        fs::create_dir_all(root.join(inside))?;
    }
    programs(peer, tree, &root)?;
    drivers(tree, &root)?;
    for file in ["cert.pem", "key.pem"] {
        copy(&identity.join(file), &root.join("etc").join(file))?;
    }
    fs::write(root.join("etc/proxy.conf"), peer.configuration)?;
    if let Some(configuration) = peer.requests {
        fs::write(root.join("etc/requests.conf"), configuration)?;
    }
    fs::write(root.join("etc/passwd"), "root:x:0:0::/:/bin/sh\n")?;
    fs::write(root.join("etc/group"), "root:x:0:\n")?;
    write_program(&root.join("init"), INIT)?;
    copy(&kernel(tree)?, &folder.join("vmlinuz"))?;

    let archive = folder.join("initrd");
    fs::write(&archive, cpio::archive(&root)?)?;
    process::run(Command::new("gzip").args(["-9", "-n", "-f"]).arg(&archive))?;
    fs::write(folder.join("native"), "sh\nroot/start\nroot")?;
    Ok(())
}

/// The proxy, its libraries, and busybox.
fn programs(peer: &Peer, tree: &Tree, root: &Path) -> Result<()> {
    let program = tree.root.join(peer.program);
    copy(&program, &root.join("bin/proxy"))?;
    let mut loaded = vec![program];
    for module in peer.modules {
        let module = tree.root.join(module);
        let name = module.file_name().ok_or("a module has no name")?;
        copy(&module, &root.join("bin").join(name))?;
        loaded.push(module);
    }
    let folders: Vec<PathBuf> = ["lib", "usr/lib"]
        .iter()
        .map(|folder| tree.root.join(folder).join("x86_64-linux-gnu"))
        .collect();
    let find = |name: &str| {
        folders
            .iter()
            .map(|folder| folder.join(name))
            .find(|path| path.exists())
            .ok_or_else(|| format!("no package holds {name}"))
    };
    let loader = find(LOADER)?;
    copy(&loader, &root.join("lib64").join(LOADER))?;
    copy(&find(UNWINDER)?, &root.join("lib").join(UNWINDER))?;
    let path = folders
        .iter()
        .map(|folder| folder.to_string_lossy())
        .collect::<Vec<_>>()
        .join(":");
    for file in &loaded {
        let mut command = Command::new(&loader);
        command.arg("--library-path").arg(&path).arg("--list");
        for name in libraries(&process::output(command.arg(file))?) {
            copy(&find(name)?, &root.join("lib").join(name))?;
        }
    }
    let start = START
        .replace("@LOADER@", LOADER)
        .replace("@ARGUMENTS@", &peer.arguments.replace("@ROOT@", "$root"));
    write_program(&root.join("start"), &start)?;
    let busybox = ["bin/busybox", "usr/bin/busybox"].map(|path| tree.root.join(path));
    let busybox = busybox.iter().find(|path| path.exists());
    copy(
        busybox.ok_or("no package holds busybox")?,
        &root.join("bin/busybox"),
    )?;
    for applet in APPLETS {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    Ok(())
}

/// The libraries that the loader's `--list` names and found (ld.so(8)).
fn libraries(list: &str) -> Vec<&str> {
    list.lines()
        .filter_map(|line| line.split_once(" => "))
        .map(|(name, _)| name.trim())
        .filter(|name| !name.starts_with('/'))
        .collect()
}

/// The kernel's drivers, decompressed, and the order in which to load them.
fn drivers(tree: &Tree, root: &Path) -> Result<()> {
    let mut files = Vec::new();
    for folder in ["lib/modules", "usr/lib/modules"] {
        collect(&tree.root.join(folder), &mut files);
    }
    let mut order = String::new();
    for driver in DRIVERS {
        let (plain, packed) = (format!("{driver}.ko"), format!("{driver}.ko.xz"));
        let name = |path: &PathBuf| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        };
        let Some(file) = files
            .iter()
            .find(|path| name(path).is_some_and(|name| name == plain || name == packed))
        else {
            continue;
        };
        let to = root.join("drivers").join(&plain);
        if file.extension().is_some_and(|extension| extension == "xz") {
            let mut command = Command::new("xz");
            command.args(["--decompress", "--stdout"]).arg(file);
            command.stdout(fs::File::create(&to)?).stdin(Stdio::null());
            process::run(&mut command)?;
        } else {
            copy(file, &to)?;
        }
        order += &format!("{plain}\n");
    }
    Ok(fs::write(root.join("drivers/order"), order)?)
}

/// All files below a folder that may not exist.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => collect(&entry.path(), files),
            _ => files.push(entry.path()),
        }
    }
}

fn kernel(tree: &Tree) -> Result<PathBuf> {
    let mut files = Vec::new();
    collect(&tree.root.join("boot"), &mut files);
    let is_kernel = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy());
        name.is_some_and(|name| name.starts_with("vmlinuz-"))
    };
    let kernel = files.into_iter().find(is_kernel);
    Ok(kernel.ok_or("no package holds a kernel")?)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).map_err(|error| format!("{}: {error}", from.display()))?;
    // The owner alone may read some of them; the copies are ours.
    let mode = fs::metadata(to)?.permissions().mode() | 0o600;
    Ok(fs::set_permissions(to, fs::Permissions::from_mode(mode))?)
}

fn write_program(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text)?;
    Ok(fs::set_permissions(
        path,
        fs::Permissions::from_mode(0o755),
    )?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_the_loader_s_list() {
        let list = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibssl.so.3 => /a/libssl.so.3 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 => /b/ld.so (0x00007f)\n";
        assert_eq!(libraries(list), ["libssl.so.3"]);
        assert_eq!(libraries("\tstatically linked\n"), [""; 0]);
    }

    #[test]
    fn configurations_have_their_places() {
        for peer in &PEERS {
            for configuration in [Some(peer.configuration), peer.requests]
                .into_iter()
                .flatten()
            {
                for place in ["@ACCEPT@", "@CONNECT@", "@ROOT@"] {
                    assert!(configuration.contains(place), "{}: {place}", peer.name);
                }
            }
            assert!(peer.arguments.contains("@ROOT@/tmp/proxy.conf"));
        }
    }
}
