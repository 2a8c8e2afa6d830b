# One entry of 16 bytes for each of the 32 exceptions. The processor pushes an error code for
# some (Intel SDM volume 3, table 6-1); the others push a zero, so that the frames are alike.

.section .text.exceptions, "ax"
.global exception_entries
.balign 16
exception_entries:
.set vector, 0
.rept 32
    .balign 16
    .if ((1 << vector) & 0x60227d00) == 0
        pushq $0
    .endif
    pushq $vector
    jmp exception_common
    .set vector, vector + 1
.endr

exception_common:
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    andq $-16, %rsp
    call exception
    ud2
