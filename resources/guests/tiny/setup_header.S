/* The two real-mode sectors of a bzImage: nothing but the header at 0x1f1 that boot loaders read
   (Linux, Documentation/arch/x86/boot.rst). */
    .section .setup, "a"
setup:
    .org 0x1f1
    .byte 1                     /* setup_sects */
    .word 0                     /* root_flags */
    .long image_paragraphs      /* syssize */
    .word 0, 0xffff, 0          /* ram_size, vid_mode, root_dev */
    .word 0xaa55                /* boot_flag */
    .byte 0xeb, end - 1f        /* jump over the header, whose end it tells */
1:  .ascii "HdrS"
    .word 0x020f                /* version 2.15 */
    .long 0                     /* realmode_swtch */
    .word 0, 0                  /* start_sys_seg, kernel_version */
    .byte 0, 0x01               /* type_of_loader; loadflags: LOADED_HIGH */
    .word 0                     /* setup_move_size */
    .long 0x100000              /* code32_start */
    .long 0, 0                  /* ramdisk_image, ramdisk_size */
    .long 0                     /* bootsect_kludge */
    .word 0                     /* heap_end_ptr */
    .byte 0, 0                  /* ext_loader_ver, ext_loader_type */
    .long 0                     /* cmd_line_ptr */
    .long 0x7fffffff            /* initrd_addr_max */
    .long 0x1000                /* kernel_alignment */
    .byte 0, 12                 /* relocatable_kernel: no; min_alignment */
    .word 0x0001                /* xloadflags: XLF_KERNEL_64 */
    .long 4095                  /* cmdline_size */
    .long 0                     /* hardware_subarch */
    .quad 0                     /* hardware_subarch_data */
    .long 0, 0                  /* payload_offset, payload_length */
    .quad 0                     /* setup_data */
    .quad 0x100000              /* pref_address */
    .long memory_size           /* init_size */
    .long 0, 0                  /* handover_offset, kernel_info_offset */
end:
    .org 0x400
