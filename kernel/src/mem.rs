//! `memcpy`, `memmove`, `memset`, `memcmp`, `bcmp` and `strlen`: what the compiler calls and no
//! libc is there to supply.
//!
//! Copies are loops over SSE or AVX registers: `rep movsb` runs one byte a turn under TCG, and under KVM
//! its start-up cost is larger than most copies here. Stores of zeroes use `rep stosq`, which is
//! fast on both. In the image the functions carry C's names; on the host they are ordinary
//! functions, so that the tests do not replace libc's.

#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::sync::atomic::{AtomicBool, Ordering};

/// Whether copies may use AVX registers, which halves their instructions.
static WIDE: AtomicBool = AtomicBool::new(false);

/// Lets copies of more than 256 bytes use AVX registers from now on.
///
/// # Safety
///
/// The processor must have AVX, and XCR0 must allow it.
pub unsafe fn use_avx() {
    WIDE.store(true, Ordering::Relaxed);
}

/// Copies `count` bytes from `source` to `destination`; gives back `destination`.
///
/// # Safety
///
/// As C's `memcpy`: both regions valid for `count` bytes, and not overlapping.
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "memcpy"))]
pub unsafe extern "C" fn copy(destination: *mut u8, source: *const u8, count: usize) -> *mut u8 {
    naked_asm!(
        "mov rax, rdi",
        "2:",
        "cmp rdx, 64",
        "ja 20f",
        // Up to 64 bytes: load all of it before the first store, from both ends.
        "cmp rdx, 16",
        "jb 10f",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + rdx - 16]",
        "cmp rdx, 32",
        "jbe 5f",
        "movups xmm2, [rsi + 16]",
        "movups xmm3, [rsi + rdx - 32]",
        "movups [rdi + 16], xmm2",
        "movups [rdi + rdx - 32], xmm3",
        "5:",
        "movups [rdi], xmm0",
        "movups [rdi + rdx - 16], xmm1",
        "ret",
        "10:",
        "cmp edx, 8",
        "jb 11f",
        "mov rcx, [rsi]",
        "mov r8, [rsi + rdx - 8]",
        "mov [rdi], rcx",
        "mov [rdi + rdx - 8], r8",
        "ret",
        "11:",
        "cmp edx, 4",
        "jb 12f",
        "mov ecx, [rsi]",
        "mov r8d, [rsi + rdx - 4]",
        "mov [rdi], ecx",
        "mov [rdi + rdx - 4], r8d",
        "ret",
        "12:",
        "test edx, edx",
        "jz 13f",
        // 1 to 3 bytes: first, middle and last, which may be the same.
        "mov r9, rdx",
        "shr r9, 1",
        "movzx ecx, byte ptr [rsi]",
        "movzx r10d, byte ptr [rsi + r9]",
        "movzx r8d, byte ptr [rsi + rdx - 1]",
        "mov [rdi], cl",
        "mov [rdi + r9], r10b",
        "mov [rdi + rdx - 1], r8b",
        "13:",
        "ret",
        // More than 64 bytes: the last 64 are loaded first and stored last, whatever remains.
        "20:",
        "cmp rdx, 256",
        "ja 30f",
        "22:",
        "movups xmm4, [rsi + rdx - 64]",
        "movups xmm5, [rsi + rdx - 48]",
        "movups xmm6, [rsi + rdx - 32]",
        "movups xmm7, [rsi + rdx - 16]",
        "lea r9, [rdi + rdx - 64]",
        "21:",
        "movups xmm0, [rsi]",
        "movups xmm1, [rsi + 16]",
        "movups xmm2, [rsi + 32]",
        "movups xmm3, [rsi + 48]",
        "movups [rdi], xmm0",
        "movups [rdi + 16], xmm1",
        "movups [rdi + 32], xmm2",
        "movups [rdi + 48], xmm3",
        "add rsi, 64",
        "add rdi, 64",
        "cmp rdi, r9",
        "jb 21b",
        "movups [r9], xmm4",
        "movups [r9 + 16], xmm5",
        "movups [r9 + 32], xmm6",
        "movups [r9 + 48], xmm7",
        "ret",
        // Many: blocks of 1,024 bytes by AVX where there is AVX, counted up to zero from behind
        // both ends, then one of 512, one of 256, and the rest as above.
        "30:",
        "cmp byte ptr [rip + {wide}], 0",
        "je 22b",
        "mov rcx, rdx",
        "and rcx, -1024",
        "jz 33f",
        "add rsi, rcx",
        "add rdi, rcx",
        "neg rcx",
        "31:",
        "vmovups ymm0, [rsi + rcx]",
        "vmovups ymm1, [rsi + rcx + 32]",
        "vmovups ymm2, [rsi + rcx + 64]",
        "vmovups ymm3, [rsi + rcx + 96]",
        "vmovups ymm4, [rsi + rcx + 128]",
        "vmovups ymm5, [rsi + rcx + 160]",
        "vmovups ymm6, [rsi + rcx + 192]",
        "vmovups ymm7, [rsi + rcx + 224]",
        "vmovups ymm8, [rsi + rcx + 256]",
        "vmovups ymm9, [rsi + rcx + 288]",
        "vmovups ymm10, [rsi + rcx + 320]",
        "vmovups ymm11, [rsi + rcx + 352]",
        "vmovups ymm12, [rsi + rcx + 384]",
        "vmovups ymm13, [rsi + rcx + 416]",
        "vmovups ymm14, [rsi + rcx + 448]",
        "vmovups ymm15, [rsi + rcx + 480]",
        "vmovups [rdi + rcx], ymm0",
        "vmovups [rdi + rcx + 32], ymm1",
        "vmovups [rdi + rcx + 64], ymm2",
        "vmovups [rdi + rcx + 96], ymm3",
        "vmovups [rdi + rcx + 128], ymm4",
        "vmovups [rdi + rcx + 160], ymm5",
        "vmovups [rdi + rcx + 192], ymm6",
        "vmovups [rdi + rcx + 224], ymm7",
        "vmovups [rdi + rcx + 256], ymm8",
        "vmovups [rdi + rcx + 288], ymm9",
        "vmovups [rdi + rcx + 320], ymm10",
        "vmovups [rdi + rcx + 352], ymm11",
        "vmovups [rdi + rcx + 384], ymm12",
        "vmovups [rdi + rcx + 416], ymm13",
        "vmovups [rdi + rcx + 448], ymm14",
        "vmovups [rdi + rcx + 480], ymm15",
        "vmovups ymm0, [rsi + rcx + 512]",
        "vmovups ymm1, [rsi + rcx + 544]",
        "vmovups ymm2, [rsi + rcx + 576]",
        "vmovups ymm3, [rsi + rcx + 608]",
        "vmovups ymm4, [rsi + rcx + 640]",
        "vmovups ymm5, [rsi + rcx + 672]",
        "vmovups ymm6, [rsi + rcx + 704]",
        "vmovups ymm7, [rsi + rcx + 736]",
        "vmovups ymm8, [rsi + rcx + 768]",
        "vmovups ymm9, [rsi + rcx + 800]",
        "vmovups ymm10, [rsi + rcx + 832]",
        "vmovups ymm11, [rsi + rcx + 864]",
        "vmovups ymm12, [rsi + rcx + 896]",
        "vmovups ymm13, [rsi + rcx + 928]",
        "vmovups ymm14, [rsi + rcx + 960]",
        "vmovups ymm15, [rsi + rcx + 992]",
        "vmovups [rdi + rcx + 512], ymm0",
        "vmovups [rdi + rcx + 544], ymm1",
        "vmovups [rdi + rcx + 576], ymm2",
        "vmovups [rdi + rcx + 608], ymm3",
        "vmovups [rdi + rcx + 640], ymm4",
        "vmovups [rdi + rcx + 672], ymm5",
        "vmovups [rdi + rcx + 704], ymm6",
        "vmovups [rdi + rcx + 736], ymm7",
        "vmovups [rdi + rcx + 768], ymm8",
        "vmovups [rdi + rcx + 800], ymm9",
        "vmovups [rdi + rcx + 832], ymm10",
        "vmovups [rdi + rcx + 864], ymm11",
        "vmovups [rdi + rcx + 896], ymm12",
        "vmovups [rdi + rcx + 928], ymm13",
        "vmovups [rdi + rcx + 960], ymm14",
        "vmovups [rdi + rcx + 992], ymm15",
        "add rcx, 1024",
        "jnz 31b",
        "and edx, 1023",
        "33:",
        "cmp edx, 512",
        "jb 35f",
        "vmovups ymm0, [rsi]",
        "vmovups ymm1, [rsi + 32]",
        "vmovups ymm2, [rsi + 64]",
        "vmovups ymm3, [rsi + 96]",
        "vmovups ymm4, [rsi + 128]",
        "vmovups ymm5, [rsi + 160]",
        "vmovups ymm6, [rsi + 192]",
        "vmovups ymm7, [rsi + 224]",
        "vmovups ymm8, [rsi + 256]",
        "vmovups ymm9, [rsi + 288]",
        "vmovups ymm10, [rsi + 320]",
        "vmovups ymm11, [rsi + 352]",
        "vmovups ymm12, [rsi + 384]",
        "vmovups ymm13, [rsi + 416]",
        "vmovups ymm14, [rsi + 448]",
        "vmovups ymm15, [rsi + 480]",
        "vmovups [rdi], ymm0",
        "vmovups [rdi + 32], ymm1",
        "vmovups [rdi + 64], ymm2",
        "vmovups [rdi + 96], ymm3",
        "vmovups [rdi + 128], ymm4",
        "vmovups [rdi + 160], ymm5",
        "vmovups [rdi + 192], ymm6",
        "vmovups [rdi + 224], ymm7",
        "vmovups [rdi + 256], ymm8",
        "vmovups [rdi + 288], ymm9",
        "vmovups [rdi + 320], ymm10",
        "vmovups [rdi + 352], ymm11",
        "vmovups [rdi + 384], ymm12",
        "vmovups [rdi + 416], ymm13",
        "vmovups [rdi + 448], ymm14",
        "vmovups [rdi + 480], ymm15",
        "add rsi, 512",
        "add rdi, 512",
        "sub edx, 512",
        "35:",
        "cmp edx, 256",
        "jb 34f",
        "vmovups ymm0, [rsi]",
        "vmovups ymm1, [rsi + 32]",
        "vmovups ymm2, [rsi + 64]",
        "vmovups ymm3, [rsi + 96]",
        "vmovups ymm4, [rsi + 128]",
        "vmovups ymm5, [rsi + 160]",
        "vmovups ymm6, [rsi + 192]",
        "vmovups ymm7, [rsi + 224]",
        "vmovups [rdi], ymm0",
        "vmovups [rdi + 32], ymm1",
        "vmovups [rdi + 64], ymm2",
        "vmovups [rdi + 96], ymm3",
        "vmovups [rdi + 128], ymm4",
        "vmovups [rdi + 160], ymm5",
        "vmovups [rdi + 192], ymm6",
        "vmovups [rdi + 224], ymm7",
        "add rsi, 256",
        "add rdi, 256",
        "sub edx, 256",
        "34:",
        "vzeroupper",
        "test edx, edx",
        "jnz 2b",
        "ret",
        wide = sym WIDE,
    )
}

/// Copies `count` bytes from `source` to `destination`, which may overlap; gives back
/// `destination`.
///
/// # Safety
///
/// As C's `memmove`: both regions valid for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "memmove"))]
pub unsafe extern "C" fn copy_overlapping(
    destination: *mut u8,
    source: *const u8,
    count: usize,
) -> *mut u8 {
    naked_asm!(
        // `copy` is right for all but a destination inside the source and behind its start:
        // it loads up to 64 bytes, or each block and the tail, before it overwrites them.
        "mov r8, rdi",
        "sub r8, rsi",
        "cmp r8, rdx",
        "jae {copy}",
        "cmp rdx, 64",
        "jbe {copy}",
        "mov rax, rdi",
        // From the end to the start; the first 64 bytes are loaded first and stored last.
        "movups xmm4, [rsi]",
        "movups xmm5, [rsi + 16]",
        "movups xmm6, [rsi + 32]",
        "movups xmm7, [rsi + 48]",
        "20:",
        "movups xmm0, [rsi + rdx - 16]",
        "movups xmm1, [rsi + rdx - 32]",
        "movups xmm2, [rsi + rdx - 48]",
        "movups xmm3, [rsi + rdx - 64]",
        "movups [rdi + rdx - 16], xmm0",
        "movups [rdi + rdx - 32], xmm1",
        "movups [rdi + rdx - 48], xmm2",
        "movups [rdi + rdx - 64], xmm3",
        "sub rdx, 64",
        "cmp rdx, 64",
        "ja 20b",
        "movups [rdi], xmm4",
        "movups [rdi + 16], xmm5",
        "movups [rdi + 32], xmm6",
        "movups [rdi + 48], xmm7",
        "ret",
        copy = sym copy,
    )
}

/// Sets `count` bytes at `destination` to `value`; gives back `destination`.
///
/// # Safety
///
/// As C's `memset`: the region valid for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "memset"))]
pub unsafe extern "C" fn fill(destination: *mut u8, value: i32, count: usize) -> *mut u8 {
    naked_asm!(
        "movzx eax, sil",
        "mov rcx, 0x0101010101010101",
        "imul rax, rcx",
        "cmp rdx, 16",
        "jb 10f",
        "movq xmm0, rax",
        "punpcklqdq xmm0, xmm0",
        "lea r9, [rdi + rdx - 16]",
        "cmp rdx, 512",
        "ja 30f",
        "mov rax, rdi",
        "20:",
        "movups [rdi], xmm0",
        "add rdi, 16",
        "cmp rdi, r9",
        "jb 20b",
        "movups [r9], xmm0",
        "ret",
        // Many: whole quadwords, and the tail with one store that may overlap them.
        "30:",
        "mov r8, rdi",
        "mov rcx, rdx",
        "shr rcx, 3",
        "rep stosq",
        "movups [r9], xmm0",
        "mov rax, r8",
        "ret",
        // Fewer than 16.
        "10:",
        "cmp edx, 8",
        "jb 11f",
        "mov [rdi], rax",
        "mov [rdi + rdx - 8], rax",
        "mov rax, rdi",
        "ret",
        "11:",
        "cmp edx, 4",
        "jb 12f",
        "mov [rdi], eax",
        "mov [rdi + rdx - 4], eax",
        "mov rax, rdi",
        "ret",
        "12:",
        "test edx, edx",
        "jz 13f",
        "mov r9, rdx",
        "shr r9, 1",
        "mov [rdi], al",
        "mov [rdi + r9], al",
        "mov [rdi + rdx - 1], al",
        "13:",
        "mov rax, rdi",
        "ret",
    )
}

/// Compares `count` bytes: negative, zero or positive as the first difference is.
///
/// Not constant time; cryptographic comparisons must not come here.
///
/// # Safety
///
/// As C's `memcmp`: both regions valid for `count` bytes.
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "memcmp"))]
pub unsafe extern "C" fn compare(left: *const u8, right: *const u8, count: usize) -> i32 {
    naked_asm!(
        "xor ecx, ecx",
        "cmp rdx, 16",
        "jb 30f",
        "lea r9, [rdx - 16]",
        "10:",
        "movups xmm0, [rdi + rcx]",
        "movups xmm1, [rsi + rcx]",
        "pcmpeqb xmm0, xmm1",
        "pmovmskb eax, xmm0",
        "xor eax, 0xffff",
        "jnz 20f",
        "cmp rcx, r9",
        "je 40f",
        "add rcx, 16",
        "cmp rcx, r9",
        "cmova rcx, r9",
        "jmp 10b",
        "20:",
        "bsf eax, eax",
        "add rcx, rax",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "sub eax, r8d",
        "ret",
        "30:",
        "cmp rcx, rdx",
        "je 40f",
        "movzx eax, byte ptr [rdi + rcx]",
        "movzx r8d, byte ptr [rsi + rcx]",
        "inc rcx",
        "sub eax, r8d",
        "jz 30b",
        "ret",
        "40:",
        "xor eax, eax",
        "ret",
    )
}

/// Compares `count` bytes: zero when they are equal, anything else when not.
///
/// # Safety
///
/// As [`compare`].
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "bcmp"))]
pub unsafe extern "C" fn differ(left: *const u8, right: *const u8, count: usize) -> i32 {
    naked_asm!("jmp {compare}", compare = sym compare)
}

/// The number of bytes before the first zero byte.
///
/// # Safety
///
/// As C's `strlen`: `text` must lead to a zero byte.
#[unsafe(naked)]
#[cfg_attr(stockade_image, unsafe(export_name = "strlen"))]
pub unsafe extern "C" fn length(text: *const u8) -> usize {
    naked_asm!(
        "xor eax, eax",
        "10:",
        "cmp byte ptr [rdi + rax], 0",
        "je 20f",
        "inc rax",
        "jmp 10b",
        "20:",
        "ret",
    )
}

#[cfg(test)]
mod tests;
