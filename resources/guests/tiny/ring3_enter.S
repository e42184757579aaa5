/* To ring 3 and back: where KVM emulates ring 0, ring 3 still runs on the processor. */

    .equ DATA, 0x18
    .equ USER_DATA, 0x20 | 3
    .equ USER_CODE, 0x28 | 3
    .equ INTERRUPTS, 0x202

/* void ring3_enter(void (*function)(void)): ring 3 ends in the trap that is ring3_leave. */
    .code64
    .text
    .globl ring3_enter, ring3_leave
ring3_enter:
    push %rbx
    push %rbp
    push %r12
    push %r13
    push %r14
    push %r15
    mov %rsp, ring3_tss + 4     /* RSP0, for traps and interrupts */
    pushq $USER_DATA
    pushq $ring3_stack
    pushq $INTERRUPTS
    pushq $USER_CODE
    pushq $1f
    iretq
1:  call *%rdi
    int3

ring3_leave:
    mov ring3_tss + 4, %rsp
    mov $DATA, %eax
    mov %eax, %ss
    mov %eax, %ds
    mov %eax, %es
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %rbp
    pop %rbx
    ret

    .bss
    .balign 16
    .skip 4096
ring3_stack:
