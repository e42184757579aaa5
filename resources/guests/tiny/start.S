/* From each entry state to C in long mode: tables, processors, interrupts. */

    .equ CODE32, 0x08
    .equ CODE64, 0x10
    .equ DATA, 0x18
    .equ TRAMPOLINE, 0x8000     /* where SIPI vector 8 starts a processor */
    .equ AP_STACK, 1024

/* ---- boot processor ---- */

/* 32-bit, no paging. EDI: enum entry, ESI: address of the protocol's information. */
    .code32
    .text
    .globl start32
start32:
    mov $stack_top, %esp
    mov $start64, %ebp

/* Long mode with our own tables, then on to the 64-bit address in EBP. */
long_mode:
    lgdt gdt_pointer
    mov %cr4, %eax
    or $0x20, %eax              /* PAE */
    mov %eax, %cr4
    mov $pml4, %eax
    mov %eax, %cr3
    mov $0xc0000080, %ecx       /* EFER */
    rdmsr
    or $0x100, %eax             /* LME */
    wrmsr
    mov %cr0, %eax
    or $0x80000001, %eax        /* PG, PE */
    mov %eax, %cr0
    ljmp $CODE64, $1f
    .code64
1:  mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov %ebp, %ebp
    jmp *%rbp

/* Long mode. EDI: enum entry, RSI: address of the protocol's information. */
    .globl start64
start64:
    mov $stack_top, %esp
    lgdt gdt_pointer
    mov $pml4, %eax
    mov %rax, %cr3
    call tiny_main
0:  cli
    hlt
    jmp 0b

/* ---- other processors ---- */

/* Copied to TRAMPOLINE, where they start in real mode with CS = TRAMPOLINE >> 4. */
    .code16
    .globl trampoline, trampoline_end
trampoline:
    cli
    lgdtl %cs:(trampoline_gdt - trampoline)
    mov %cr0, %eax
    or $1, %al
    mov %eax, %cr0
    ljmpl $CODE32, $ap32
trampoline_gdt:
    .word gdt_end - gdt - 1
    .long gdt
trampoline_end:

    .code32
ap32:
    mov $DATA, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    mov $ap64, %ebp
    jmp long_mode

    .code64
ap64:
    mov $1, %eax
    lock xaddl %eax, ap_number
    inc %eax
    imul $AP_STACK, %eax, %eax
    lea ap_stacks(%eax), %esp
    call ap_main
0:  cli
    hlt
    jmp 0b

/* ---- interrupts ---- */

/* Vector n enters at vectors + 16 * n. Those without an error code get a zero. */
    .balign 16
    .globl vectors
vectors:
    .set n, 0
    .rept 64
    .balign 16
    .if !((n == 8) || (n >= 10 && n <= 14) || (n == 17) || (n == 21) || (n == 29) || (n == 30))
    pushq $0
    .endif
    pushq $n
    jmp save
    .set n, n + 1
    .endr

save:
    push %rax
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %r8
    push %r9
    push %r10
    push %r11
    mov 72(%rsp), %rdi          /* vector */
    mov 80(%rsp), %rsi          /* error code */
    mov 88(%rsp), %rdx          /* RIP */
    call interrupt
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rax
    add $16, %rsp
    iretq

/* ---- tables ---- */

    .data
    .balign 8
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff    /* 32-bit code */
    .quad 0x00af9b000000ffff    /* 64-bit code, where Linux's __BOOT_CS is */
    .quad 0x00cf93000000ffff    /* data, where Linux's __BOOT_DS is */
    .quad 0x00cff3000000ffff    /* ring 3's data */
    .quad 0x00affb000000ffff    /* ring 3's 64-bit code */
    .globl gdt_tss
gdt_tss:
    .quad 0, 0                  /* the task state, by ring3_call() */
gdt_end:
gdt_pointer:
    .word gdt_end - gdt - 1
    .quad gdt

/* The first 4 GiB onto themselves; map_gib() in cpu.c adds to the rest. Made by the assembler,
   because 2000 stores take a millisecond where ring 0 is emulated. */
    .balign 4096
    .globl pml4, pdpt
pml4:
    .quad pdpt + 7
    .fill 511, 8, 0
pdpt:
    .quad pd + 0x0007
    .quad pd + 0x1007
    .quad pd + 0x2007
    .quad pd + 0x3007
    .fill 508, 8, 0
pd:
    .set page, 0
    .rept 2048
    .quad page + 0x87           /* 2 MiB, ring 3 too, writable, present */
    .set page, page + 0x200000
    .endr

    .bss
    .balign 16
    .skip 8192
stack_top:
ap_stacks:
    .skip AP_STACK * 255
    .balign 4
ap_number:
    .skip 4
