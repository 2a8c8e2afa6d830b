//! What a remote costs: one machine with up to 50 proxies, beside as many processes of stunnel.
//!
//! ```text
//! STOCKADE_IMAGE=target/image/stockade cargo run --release -p stockade --example memory [REMOTES]
//! ```
//!
//! Nothing is connected: the remotes are ports of this host where nobody listens. Figures are the
//! kernel's, of smaps_rollup (proc(5)): PSS counts a page that several processes share in parts.

use std::error::Error;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use stockade::{Config, Options, Proxy, ProxyPool, Remote};

/// Most remotes, so that the program ends soon.
const MOST: u16 = 50;
/// How long a process has to come to rest before it is measured.
const REST: Duration = Duration::from_secs(2);

/// Memory, KiB.
#[derive(Clone, Copy, Default)]
struct Memory {
    rss: u64,
    pss: u64,
}

impl Memory {
    fn of(pid: u32) -> Result<Memory, Box<dyn Error>> {
        let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        let value = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            let value = line.and_then(|line| line.split_whitespace().nth(1));
            value.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        Ok(Memory {
            rss: value("Rss:"),
            pss: value("Pss:"),
        })
    }

    fn plus(self, other: Memory) -> Memory {
        Memory {
            rss: self.rss + other.rss,
            pss: self.pss + other.pss,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked = std::env::args().nth(1);
    let remotes = asked.map_or(Ok(MOST), |text| text.parse::<u16>())?;
    let remotes = remotes.clamp(1, MOST);
    let shown = |count: u16| [1, 2, 5, 10, 20, 30, 40].contains(&count) || count == remotes;

    println!("remotes  launcher RSS/PSS  QEMU RSS/PSS  together PSS, KiB");
    let pool = ProxyPool::new(Options::default())?;
    let mut proxies: Vec<Proxy> = Vec::new();
    let mut figures = Vec::new();
    for count in 1..=remotes {
        proxies.push(pool.add(Config::with_new_socket(Remote::new("127.0.0.1", 9), None)?)?);
        if !shown(count) {
            continue;
        }
        thread::sleep(REST);
        let launcher = Memory::of(std::process::id())?;
        let qemu = Memory::of(pool.process_id().ok_or("there is no machine")?)?;
        let all = launcher.plus(qemu);
        println!(
            "{count:7}  {:8}/{:<8} {:8}/{:<8} {:8}",
            launcher.rss, launcher.pss, qemu.rss, qemu.pss, all.pss
        );
        figures.push((count, all));
    }
    growth(&figures);
    drop(proxies);

    println!("\nprocesses of stunnel  all of them RSS/PSS, KiB");
    let mut stunnels = Vec::new();
    let folder = std::env::temp_dir().join(format!("stockade-memory-{}", std::process::id()));
    fs::create_dir(&folder)?;
    let result = (1..=remotes).try_for_each(|count| {
        let path = folder.join(format!("{count}.conf"));
        let socket = folder.join(format!("{count}.sock"));
        let text = format!(
            "foreground = yes\nsyslog = no\npid =\n[client-proxy]\nclient = yes\n\
             accept = {}\nconnect = 127.0.0.1:9\n",
            socket.display()
        );
        fs::write(&path, text)?;
        let mut command = Command::new("stunnel");
        command
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        stunnels.push(command.spawn()?);
        if !shown(count) {
            return Ok(());
        }
        thread::sleep(REST);
        let mut all = Memory::default();
        for stunnel in &stunnels {
            all = all.plus(Memory::of(stunnel.id())?);
        }
        println!("{count:7}  {:8}/{:<8}", all.rss, all.pss);
        Ok::<(), Box<dyn Error>>(())
    });
    stunnels.iter_mut().for_each(end);
    fs::remove_dir_all(&folder)?;
    result
}

fn growth(figures: &[(u16, Memory)]) {
    let (Some((first, least)), Some((last, most))) = (figures.first(), figures.last()) else {
        return;
    };
    if last > first {
        let each = most.pss.saturating_sub(least.pss) / u64::from(last - first);
        println!("each further remote: {each} KiB of PSS");
    }
}

fn end(process: &mut Child) {
    let _ = process.kill();
    let _ = process.wait();
}
