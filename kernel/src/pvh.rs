//! The PVH boot protocol: what the loader hands over (Xen's public header
//! `arch-x86/hvm/start_info.h`).

#![allow(unsafe_code)]

use core::fmt;
use core::ops::Range;

use crate::memory::MAX_REGIONS;

/// `XEN_HVM_START_MAGIC_VALUE`.
const MAGIC: u32 = 0x336e_c578;
/// `XEN_HVM_MEMMAP_TYPE_RAM`.
const TYPE_RAM: u32 = 1;
/// The longest command line that is looked at, in bytes: more than `execve` lets anyone pass.
const MAX_COMMAND_LINE: usize = 1 << 20;

/// `struct hvm_start_info`, version 1.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct StartInfo {
    magic: u32,
    version: u32,
    flags: u32,
    module_count: u32,
    modules: u64,
    command_line: u64,
    rsdp: u64,
    memory_map: u64,
    memory_map_entries: u32,
    reserved: u32,
}

/// `struct hvm_modlist_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct Module {
    address: u64,
    size: u64,
    command_line: u64,
    reserved: u64,
}

/// `struct hvm_memmap_table_entry`.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
struct MemoryMapEntry {
    address: u64,
    size: u64,
    kind: u32,
    reserved: u32,
}

/// What the loader handed over, checked. The bytes that it points to are still the loader's.
#[derive(Debug)]
pub struct Handoff {
    ram: [(u64, u64); MAX_REGIONS],
    ram_count: usize,
    /// Where the command line's text lies, without the zero byte at its end.
    pub command_line: Range<u64>,
    /// Where the first module lies: the boot archive.
    pub archive: Option<Range<u64>>,
    /// Modules after the first, which nobody asked for.
    pub surplus_modules: u32,
}

/// Why the image cannot have been started by a PVH loader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoffError {
    /// The start information does not begin with PVH's magic number.
    Magic {
        /// What is there instead.
        found: u32,
    },
    /// The start information is of a version without a memory map (version 0).
    NoMemoryMap,
    /// The command line has no end within the most that is looked at.
    EndlessCommandLine,
}

impl fmt::Display for HandoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandoffError::Magic { found } => write!(
                f,
                "the start information begins with {found:#x}, not with {MAGIC:#x}: the loader does not speak PVH"
            ),
            HandoffError::NoMemoryMap => {
                write!(
                    f,
                    "the loader handed over no memory map (PVH version 1 has one)"
                )
            }
            HandoffError::EndlessCommandLine => {
                write!(
                    f,
                    "the command line does not end within {MAX_COMMAND_LINE} bytes"
                )
            }
        }
    }
}

impl core::error::Error for HandoffError {}

impl Handoff {
    /// Reads what the loader handed over.
    ///
    /// # Safety
    ///
    /// `start_info` must be the address that a PVH loader passed in `ebx`, and all memory below
    /// 4 GiB must be readable. Nothing may have been written over the loader's data yet.
    pub unsafe fn read(start_info: u64) -> Result<Handoff, HandoffError> {
        let pointer = start_info as *const StartInfo;
        // SAFETY: the caller promised that the structure is there.
        let info = unsafe { pointer.read_unaligned() };
        if info.magic != MAGIC {
            return Err(HandoffError::Magic { found: info.magic });
        }
        if info.version == 0 || info.memory_map == 0 || info.memory_map_entries == 0 {
            return Err(HandoffError::NoMemoryMap);
        }
        let mut ram = [(0, 0); MAX_REGIONS];
        let mut ram_count = 0;
        for number in 0..u64::from(info.memory_map_entries) {
            let pointer = (info.memory_map + number * 24) as *const MemoryMapEntry;
            // SAFETY: the start information says that this many entries of 24 bytes are there.
            let entry = unsafe { pointer.read_unaligned() };
            if entry.kind == TYPE_RAM
                && let Some(place) = ram.get_mut(ram_count)
            {
                *place = (entry.address, entry.address.saturating_add(entry.size));
                ram_count += 1;
            }
        }
        let mut archive = None;
        if info.module_count > 0 && info.modules != 0 {
            let pointer = info.modules as *const Module;
            // SAFETY: the start information says that at least one module entry is there.
            let module = unsafe { pointer.read_unaligned() };
            if module.address != 0 && module.size != 0 {
                archive = Some(module.address..module.address.saturating_add(module.size));
            }
        }
        // SAFETY: the address comes from the start information; the caller promised that memory
        // is readable.
        let command_line = unsafe { text_at(info.command_line) }?;
        Ok(Handoff {
            ram,
            ram_count,
            command_line,
            archive,
            surplus_modules: info.module_count.saturating_sub(1),
        })
    }

    /// The regions of ordinary memory, as the firmware lists them.
    pub fn ram(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ram
            .iter()
            .take(self.ram_count)
            .map(|&(start, end)| start..end)
    }
}

/// Finds the end of the text at `address`; address 0 is no text.
///
/// # Safety
///
/// Memory must be readable from there to a zero byte, or for [`MAX_COMMAND_LINE`] bytes.
unsafe fn text_at(address: u64) -> Result<Range<u64>, HandoffError> {
    if address == 0 {
        return Ok(0..0);
    }
    for length in 0..MAX_COMMAND_LINE as u64 {
        let pointer = (address + length) as *const u8;
        // SAFETY: the caller promised readable memory up to the bound.
        if unsafe { pointer.read() } == 0 {
            return Ok(address..address + length);
        }
    }
    Err(HandoffError::EndlessCommandLine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory_map() -> Vec<MemoryMapEntry> {
        [
            (0, 0x9fc00, 1),
            (0xf0000, 0x10000, 2),
            (1 << 20, 15 << 20, 1),
        ]
        .map(|(address, size, kind)| MemoryMapEntry {
            address,
            size,
            kind,
            reserved: 0,
        })
        .into()
    }

    fn start_info(map: &[MemoryMapEntry]) -> StartInfo {
        StartInfo {
            magic: MAGIC,
            version: 1,
            flags: 0,
            module_count: 0,
            modules: 0,
            command_line: 0,
            rsdp: 0,
            memory_map: map.as_ptr() as u64,
            memory_map_entries: map.len() as u32,
            reserved: 0,
        }
    }

    fn read(info: &StartInfo) -> Result<Handoff, HandoffError> {
        // SAFETY: the tests build every structure that `info` points to.
        unsafe { Handoff::read(&raw const *info as u64) }
    }

    #[test]
    fn reads_memory_archive_and_command_line() {
        let map = memory_map();
        let text = b"--log=debug\0more";
        let modules = [Module {
            address: 0x70_0000,
            size: 1536,
            command_line: 0,
            reserved: 0,
        }];
        let info = StartInfo {
            module_count: 2,
            modules: modules.as_ptr() as u64,
            command_line: text.as_ptr() as u64,
            ..start_info(&map)
        };
        let handoff = read(&info).expect("a valid start information");
        let start = text.as_ptr() as u64;
        assert_eq!(handoff.command_line, start..start + 11);
        assert_eq!(handoff.archive, Some(0x70_0000..0x70_0600));
        assert_eq!(handoff.surplus_modules, 1);
        let ram: Vec<_> = handoff.ram().collect();
        assert_eq!(ram, [0..0x9fc00, 1 << 20..16 << 20]);
    }

    #[test]
    fn no_command_line_and_no_module_are_fine() {
        let map = memory_map();
        let handoff = read(&start_info(&map)).expect("a valid start information");
        assert!(handoff.command_line.is_empty());
        assert_eq!(handoff.archive, None);
    }

    #[test]
    fn refuses_what_is_not_pvh() {
        let map = memory_map();
        let mut info = start_info(&map);
        info.magic = 7;
        assert_eq!(read(&info).err(), Some(HandoffError::Magic { found: 7 }));
        let mut info = start_info(&map);
        info.version = 0;
        assert_eq!(read(&info).err(), Some(HandoffError::NoMemoryMap));
        let info = start_info(&[]);
        assert_eq!(read(&info).err(), Some(HandoffError::NoMemoryMap));
    }

    #[test]
    fn refuses_a_command_line_without_end() {
        let map = memory_map();
        let text = vec![b'x'; MAX_COMMAND_LINE + 1];
        let info = StartInfo {
            command_line: text.as_ptr() as u64,
            ..start_info(&map)
        };
        assert_eq!(read(&info).err(), Some(HandoffError::EndlessCommandLine));
    }

    #[test]
    fn a_size_that_overflows_is_cut() {
        let mut map = memory_map();
        map[2].size = u64::MAX;
        let handoff = read(&start_info(&map)).expect("a valid start information");
        assert_eq!(handoff.ram().last(), Some(1 << 20..u64::MAX));
    }
}
