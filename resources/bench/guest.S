// The guest that start-up, memory and idling are measured with: it writes one byte to the serial
// port and idles with interrupts enabled. The instructions are the same bytes in 32-bit mode, in
// which PVH enters, and in 64-bit mode, for VMMs that know only the 64-bit Linux entry.

        .section .note.pvh, "a", @note
        .long   4, 4, 18                // XEN_ELFNOTE_PHYS32_ENTRY
        .asciz  "Xen"
        .long   _start

        .text
        .globl  _start
_start:
        mov     $0x3f8, %dx
        mov     $'~', %al
        out     %al, %dx
        sti
1:      hlt
        jmp     1b
