/* Ring 3's task state (Intel SDM 3A §8.7). */
#include "tiny.h"

enum { TSS_SELECTOR = 0x30, BREAKPOINT = 3, PORT_BITMAP = 0x68, TSS_SIZE = PORT_BITMAP + 0x2001 };

/* Every port is allowed, as a bitmap of zeros says; the last byte ends it. RSP0 is ring3_enter.S's. */
uint8_t ring3_tss[TSS_SIZE];

extern uint64_t gdt_tss[2];
void ring3_enter(void (*function)(void)), ring3_leave(void);

static void load_task(void) {
    uint64_t base = (uint64_t)ring3_tss, limit = sizeof ring3_tss - 1;
    ring3_tss[0x66] = PORT_BITMAP;
    ring3_tss[sizeof ring3_tss - 1] = 0xff;
    gdt_tss[0] = limit | (base & 0xffffff) << 16 | 0x89ull << 40 | (base >> 24 & 0xff) << 56;
    gdt_tss[1] = base >> 32;
    __asm__ volatile("ltr %w0" : : "r"(TSS_SELECTOR) : "memory");
}

void ring3_call(void (*function)(void)) {
    if (!gdt_tss[0]) {
        load_task();
        apic_trap(BREAKPOINT, ring3_leave);
    }
    ring3_enter(function);
}
