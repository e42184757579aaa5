/* Interrupts: descriptor table, local APIC and I/O APIC (Intel SDM 3A §11, 82093AA data sheet). */
#include "machine.h"
#include "tiny.h"

enum {
    LAPIC_ID = 0x20,
    LAPIC_EOI = 0xb0,
    LAPIC_SPURIOUS = 0xf0,
    LAPIC_ICR_LOW = 0x300,
    LAPIC_ICR_HIGH = 0x310,
    LAPIC_TIMER = 0x320,
    LAPIC_INITIAL_COUNT = 0x380,
    LAPIC_DIVIDE = 0x3e0,

    TIMER_DEADLINE = 2 << 17,
    MSR_TSC_DEADLINE = 0x6e0,

    TIMER_VECTOR = 0x22,
    ALARM_VECTOR = 0x23,
    SPURIOUS_VECTOR = 0x3f,
    VECTORS = 64,
    CODE64 = 0x10,
};

static const uint64_t LAPIC = 0xfee00000, IO_APIC = 0xfec00000;

volatile uint32_t interrupts[VECTORS];
static void (*handlers[VECTORS])(void);

extern char vectors[];

void interrupt(uint64_t vector, uint64_t error, uint64_t rip) {
    if (vector < 32) {
        print("tiny: exception %u, error %x, at %x\n", vector, error, rip);
        fail("an exception");
    }
    interrupts[vector]++;
    if (handlers[vector])
        handlers[vector]();
    if (vector != SPURIOUS_VECTOR)
        *mmio32(LAPIC + LAPIC_EOI) = 0;
}

/* A 64-bit interrupt gate (§6.14.1). */
struct gate {
    uint16_t low, selector, attributes, middle;
    uint32_t high, reserved;
};

static struct gate idt[VECTORS];

void apic_trap(uint8_t vector, void (*entry)(void)) {
    uint64_t at = (uint64_t)entry;
    apic_on();
    idt[vector] = (struct gate){at, CODE64, 0xee00, at >> 16, at >> 32, 0};
}

void apic_on(void) {
    if (idt[0].selector)
        return;
    for (uint64_t i = 0; i < VECTORS; i++) {
        uint64_t at = (uint64_t)vectors + 16 * i;
        idt[i] = (struct gate){at, CODE64, 0x8e00, at >> 16, at >> 32, 0};
    }
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) pointer = {sizeof idt - 1, (uint64_t)idt};
    __asm__ volatile("lidt %0" : : "m"(pointer));
    outb(0x21, 0xff); /* no interrupts from the 8259s */
    outb(0xa1, 0xff);
    *mmio32(LAPIC + LAPIC_SPURIOUS) = 0x100 | SPURIOUS_VECTOR;
}

void apic_handle(uint8_t vector, void (*handler)(void)) {
    apic_on();
    handlers[vector] = handler;
}

uint64_t apic_message_address(void) {
    return 0xfee00000 | *mmio32(LAPIC + LAPIC_ID) >> 24 << 12;
}

void ioapic_route(uint32_t gsi, bool level, uint8_t vector, void (*handler)(void)) {
    apic_handle(vector, handler);
    uint32_t id = *mmio32(LAPIC + LAPIC_ID);
    *mmio32(IO_APIC) = 0x10 + 2 * gsi + 1;
    *mmio32(IO_APIC + 0x10) = id;
    *mmio32(IO_APIC) = 0x10 + 2 * gsi;
    *mmio32(IO_APIC + 0x10) = vector | level << 15;
}

void lapic_send(uint8_t id, uint32_t command) {
    *mmio32(LAPIC + LAPIC_ICR_HIGH) = (uint32_t)id << 24;
    *mmio32(LAPIC + LAPIC_ICR_LOW) = command;
}

/* Sleeps until `vector` has come more often than that. The timer wakes it now and then: emulated
   AMD processors (QEMU's SVM) can take an interrupt between STI and HLT, and then nothing would. */
void wait_for_interrupt(uint8_t vector, uint32_t more_than) {
    enum { TENTH_OF_A_SECOND = 100000000, PATIENCE = 400 };
    __asm__ volatile("cli");
    *mmio32(LAPIC + LAPIC_DIVIDE) = 0xb; /* by 1 */
    *mmio32(LAPIC + LAPIC_TIMER) = ALARM_VECTOR;
    uint32_t start = interrupts[ALARM_VECTOR];
    while (interrupts[vector] == more_than) {
        if (interrupts[ALARM_VECTOR] - start == PATIENCE)
            fail("an interrupt does not come");
        *mmio32(LAPIC + LAPIC_INITIAL_COUNT) = TENTH_OF_A_SECOND;
        __asm__ volatile("sti; hlt; cli" : : : "memory");
    }
    *mmio32(LAPIC + LAPIC_INITIAL_COUNT) = 0;
}

static void spin_for_tick(uint32_t count) {
    while (interrupts[TIMER_VECTOR] != count)
        __asm__ volatile("sti; pause; cli" : : : "memory");
}

/* One interrupt of the local APIC's timer in each mode that there is. */
void word_tick(const char *arg) {
    (void)arg;
    apic_on();
    *mmio32(LAPIC + LAPIC_DIVIDE) = 0xb; /* by 1 */
    *mmio32(LAPIC + LAPIC_TIMER) = TIMER_VECTOR;
    *mmio32(LAPIC + LAPIC_INITIAL_COUNT) = 1000000;
    spin_for_tick(1);
    print("tick: one-shot\n");
    if (!(cpuid(1, 0).ecx & 1 << 24)) {
        print("tick: no deadline\n");
        return;
    }
    *mmio32(LAPIC + LAPIC_TIMER) = TIMER_VECTOR | TIMER_DEADLINE;
    barrier(); /* the write must be seen before the MSR's (§11.5.4.1) */
    uint64_t deadline = read_tsc() + 1000000;
    write_msr(MSR_TSC_DEADLINE, deadline);
    spin_for_tick(2);
    print("tick: %s\n", read_tsc() >= deadline ? "deadline" : "early");
}
