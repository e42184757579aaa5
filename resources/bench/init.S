// The first process of the Linux guest that is measured: writes a line, then does what the last
// word of the kernel's command line says: "-- restart", "-- poweroff" or "-- idle".
#define SYS_write    1
#define SYS_pause    34
#define SYS_reboot   169
#define MAGIC1       0xfee1dead         // reboot(2)
#define MAGIC2       672274793
#define RESTART      0x01234567
#define POWER_OFF    0x4321fedc

        .globl  _start
_start:
        mov     $SYS_write, %eax
        mov     $1, %edi
        lea     line(%rip), %rsi
        mov     $line_length, %edx
        syscall

        mov     (%rsp), %rax            // argc
        mov     (%rsp,%rax,8), %rax     // argv[argc - 1]
        cmpb    $'i', (%rax)
        je      idle
        mov     $RESTART, %edx
        cmpb    $'p', (%rax)
        jne     end
        mov     $POWER_OFF, %edx
end:    mov     $SYS_reboot, %eax
        mov     $MAGIC1, %edi
        mov     $MAGIC2, %esi
        syscall

idle:   mov     $SYS_pause, %eax
        syscall
        jmp     idle

line:   .ascii  "init is up\n"
        .set    line_length, . - line
