/* The ELF note of a Xen PVH kernel: type 18, the 32-bit entry. EBX: hvm_start_info. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18
    .asciz "Xen"
    .quad pvh_entry

    .section .head, "ax"
    .code32
pvh_entry:
    mov $0, %edi                /* ENTRY_PVH */
    mov %ebx, %esi
    jmp start32
