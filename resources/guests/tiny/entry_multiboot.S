/* A Multiboot 1 header (wants modules on pages, and a memory map) and its entry.
   EAX: 0x2badb002, EBX: information. */
    .section .head, "ax"
    .balign 4
    .equ FLAGS, 3
    .long 0x1badb002, FLAGS, -(0x1badb002 + FLAGS)

    .code32
    .globl multiboot_entry
multiboot_entry:
    cmp $0x2badb002, %eax
    jne 0f
    mov $2, %edi                /* ENTRY_MULTIBOOT */
    mov %ebx, %esi
    jmp start32
0:  hlt
    jmp 0b
