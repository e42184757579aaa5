/* The 64-bit entry of the Linux boot protocol. RSI: boot_params. In a bzImage it is 0x200 bytes
   into the protected-mode part, where the 32-bit entry, which nobody uses here, comes first. */
    .section .head, "ax"
    .code32
    hlt
    .org 0x200
    .code64
    .globl linux64_entry
linux64_entry:
    mov $1, %edi                /* ENTRY_LINUX64 */
    jmp start64
