# From the PVH entry point to Rust: 32-bit protected mode without paging to 64-bit long mode.
#
# The PVH protocol (Xen, docs/misc/pvh.pandoc): ebx holds the address of the start information,
# segments are flat, paging and interrupts are off. Bootstrap page tables map the lower 4 GiB
# one to one with 2 MiB pages; Rust replaces them by tables that grant no more than needed.

.section .note.Xen, "a", @note
.balign 4
    .long 4                     # length of the name
    .long 8                     # length of the value
    .long 18                    # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .quad pvh_entry

.section .text.entry, "ax"
.code32
.global pvh_entry
pvh_entry:
    cli
    cld
    movl $__stack_main, %esp
    movl %ebx, %ebp

    # Long mode (bit 29) and no-execute (bit 20) are required.
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb unsupported
    movl $0x80000001, %eax
    cpuid
    andl $0x20100000, %edx
    cmpl $0x20100000, %edx
    jne unsupported

    # One table of four, each of which maps 1 GiB.
    movl $bootstrap_directories, %eax
    orl $3, %eax
    movl $bootstrap_pointers, %edi
    movl $4, %ecx
1:  movl %eax, (%edi)
    addl $4096, %eax
    addl $8, %edi
    decl %ecx
    jnz 1b
    movl $bootstrap_pointers, %eax
    orl $3, %eax
    movl %eax, bootstrap_root
    # Present, writable, large.
    movl $bootstrap_directories, %edi
    movl $0x83, %eax
    movl $2048, %ecx
2:  movl %eax, (%edi)
    addl $0x200000, %eax
    addl $8, %edi
    decl %ecx
    jnz 2b

    movl $bootstrap_root, %eax
    movl %eax, %cr3
    # CR4: PAE, OSFXSR, OSXMMEXCPT; nothing else that a loader may have left.
    movl $0x620, %eax
    movl %eax, %cr4
    # EFER: long mode, no-execute.
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x900, %eax
    wrmsr
    # CR0: paging, write protection in ring 0 too, native FPU errors, caches on.
    movl $0x80010033, %eax
    movl %eax, %cr0
    lgdt bootstrap_gdt_pointer
    ljmp $0x08, $long_mode

# Says why on the serial port, then ends with the value for an exception.
unsupported:
    movl $unsupported_text, %esi
    movl $(unsupported_end - unsupported_text), %ecx
    movw $0x3f8, %dx
    rep outsb
    movb $0x13, %al
    movw $0xf4, %dx
    outb %al, %dx
3:  hlt
    jmp 3b

.code64
long_mode:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $__stack_main, %esp
    movl %ebp, %edi
    xorl %ebp, %ebp
    fninit
    # The call leaves the stack as the System V ABI wants it: 16-byte aligned before the call.
    call start
    ud2

.section .rodata.entry, "a"
unsupported_text:
    .ascii "Stockade needs a 64-bit processor with the no-execute bit: start QEMU with -cpu max\r\n"
unsupported_end:

.balign 8
bootstrap_gdt:
    .quad 0
    .quad 0x00af9b000000ffff    # code, 64 bit, ring 0, accessed
    .quad 0x00cf93000000ffff    # data, ring 0, accessed
bootstrap_gdt_pointer:
    .word 23
    .long bootstrap_gdt

.section .bss.page_tables, "aw", @nobits
.balign 4096
bootstrap_root:
    .skip 4096
bootstrap_pointers:
    .skip 4096
bootstrap_directories:
    .skip 16384
