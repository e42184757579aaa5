/* The ways to end, or not to. */
#include "machine.h"
#include "tiny.h"

static void by_i8042(void) {
    outb(0x64, 0xfe);
}

static void by_cf9(void) {
    outb(0xcf9, 0x02);
    outb(0xcf9, 0x06);
}

/* A port that a Generic Address Structure of the FADT names (ACPI 6.5 §5.2.3.2, §5.2.9). */
static uint16_t fadt_port(unsigned offset) {
    uint32_t length;
    const uint8_t *fadt = acpi_table("FACP", &length);
    uint64_t address;
    copy(&address, fadt + offset + 4, 8);
    if (length < offset + 12 || fadt[offset] != 1 || address > 0xffff)
        fail("the FADT names no port for this");
    return address;
}

static void by_acpi_reset(void) {
    enum { RESET_REG = 116, RESET_VALUE = 128 };
    uint32_t length;
    outb(fadt_port(RESET_REG), acpi_table("FACP", &length)[RESET_VALUE]);
}

static void by_poweroff(void) {
    enum { SLEEP_CONTROL_REG = 244, SLP_EN = 1 << 5 };
    int type = acpi_s5_type();
    if (type < 0)
        fail("ACPI has no _S5");
    outb(fadt_port(SLEEP_CONTROL_REG), SLP_EN | type << 2);
}

static void by_triple(void) {
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) none = {0, 0};
    __asm__ volatile("lidt %0" : : "m"(none));
    *(volatile uint8_t *)(1ull << 40) = 0;
}

static void by_halt(void) {
    for (;;)
        __asm__ volatile("cli; hlt");
}

static void by_spin(void) {
    for (;;)
        __asm__ volatile("pause");
}

/* Idle for ever, but awake if anything came. */
static void by_stihlt(void) {
    apic_on();
    for (;;)
        __asm__ volatile("sti; hlt");
}

/* Runs on in the MMIO gap, where there is no instruction to fetch. */
static void by_badop(void) {
    ((void (*)(void))0xd8000000)();
}

static const struct ending {
    const char *name;
    void (*how)(void);
} endings[] = {
    {"i8042", by_i8042},   {"cf9", by_cf9},   {"acpi-reset", by_acpi_reset},
    {"poweroff", by_poweroff}, {"triple", by_triple}, {"halt", by_halt},
    {"spin", by_spin},     {"stihlt", by_stihlt}, {"badop", by_badop},
};

void word_end(const char *arg) {
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        if (!starts_with(arg, endings[i].name))
            continue;
        endings[i].how();
        /* The request is asynchronous: the machine is on its way down. */
        by_spin();
    }
    fail("this ending is unknown");
}

/* exit:N ends by isa-debug-exit. */
void word_exit(const char *arg) {
    outb(DEBUG_EXIT, parse_number(&arg, 10));
    by_spin();
}
