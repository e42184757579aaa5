// The first process of the Linux guest that is measured: writes a line, then ends or idles as the
// kernel's command line says behind " -- ": nothing to restart, "p..." to power off, "i..." to idle.
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

        mov     $RESTART, %edx
        cmpq    $2, (%rsp)              // argc
        jb      end
        mov     16(%rsp), %rax          // argv[1]
        cmpb    $'i', (%rax)
        je      idle
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
