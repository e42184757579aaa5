/* ACPI tables (ACPI 6.5 §5.2), and the little of AML that can be found by its bytes. */
#include "machine.h"
#include "tiny.h"

static uint32_t get32(const uint8_t *at) {
    return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const uint8_t *at) {
    return get32(at) | (uint64_t)get32(at + 4) << 32;
}

static bool sums_to_zero(const uint8_t *bytes, uint32_t length) {
    uint8_t sum = 0;
    for (uint32_t i = 0; i < length; i++)
        sum += bytes[i];
    return sum == 0;
}

static const uint8_t *xsdt(void) {
    const uint8_t *rsdp = (const void *)boot.rsdp;
    if (!rsdp || !same(rsdp, "RSD PTR ", 8))
        fail("there is no RSDP");
    if (!sums_to_zero(rsdp, 20) || !sums_to_zero(rsdp, get32(rsdp + 20)))
        fail("the RSDP's checksum is wrong");
    const uint8_t *table = (const void *)get64(rsdp + 24);
    if (!same(table, "XSDT", 4) || !sums_to_zero(table, get32(table + 4)))
        fail("the XSDT is wrong");
    return table;
}

static uint32_t table_count(const uint8_t *table) {
    return (get32(table + 4) - 36) / 8;
}

/* The table's bytes and their number; the DSDT is behind the FADT. */
const uint8_t *acpi_table(const char *signature, uint32_t *length) {
    const uint8_t *all = xsdt(), *table = NULL;
    for (uint32_t i = 0; i < table_count(all) && !table; i++) {
        const uint8_t *one = (const void *)get64(all + 36 + 8 * i);
        if (same(one, signature, 4))
            table = one;
        else if (same(one, "FACP", 4) && same(signature, "DSDT", 4))
            table = (const void *)get64(one + 140); /* X_DSDT */
    }
    if (!table)
        fail("an ACPI table is missing");
    *length = get32(table + 4);
    return table;
}

/* The nth device with a 32-bit memory window and an interrupt, as resource descriptors say
   (§6.4.3): Memory32Fixed, then Extended Interrupt. */
bool acpi_window(unsigned nth, struct acpi_window *window) {
    uint32_t length;
    const uint8_t *dsdt = acpi_table("DSDT", &length);
    for (uint32_t at = 36; at + 21 <= length; at++) {
        const uint8_t *memory = dsdt + at, *interrupt = memory + 12;
        if (!same(memory, "\x86\x09\0", 3) || !same(interrupt, "\x89\x06\0", 3))
            continue;
        if (nth-- == 0) {
            window->base = get32(memory + 4);
            window->level = !(interrupt[3] & 2);
            window->gsi = get32(interrupt + 5);
            return true;
        }
    }
    return false;
}

/* Local APIC ids of the processors that the MADT enables. */
unsigned acpi_cpus(uint8_t *ids, unsigned room) {
    uint32_t length;
    unsigned count = 0;
    const uint8_t *madt = acpi_table("APIC", &length);
    for (uint32_t at = 44; at + 2 <= length && madt[at + 1]; at += madt[at + 1])
        if (madt[at] == 0 && madt[at + 4] & 1 && count < room)
            ids[count++] = madt[at + 3];
    return count;
}

/* The value of \_S5's first element; -1 if there is no such package. */
int acpi_s5_type(void) {
    uint32_t length;
    const uint8_t *dsdt = acpi_table("DSDT", &length);
    for (uint32_t at = 36; at + 9 <= length; at++) {
        const uint8_t *name = dsdt + at;
        if (!same(name, "_S5_\x12", 5))
            continue;
        const uint8_t *element = name + 5 + 1 + (name[5] >> 6) + 1;
        return *element == 0x0a ? element[1] : *element;
    }
    return -1;
}

/* Names every table and checks its checksum; counts processors and devices. */
void word_acpi(const char *arg) {
    uint8_t ids[255];
    uint32_t length;
    struct acpi_window window;
    const uint8_t *all = xsdt();
    (void)arg;
    for (uint32_t i = 0; i < table_count(all); i++) {
        const uint8_t *table = (const void *)get64(all + 36 + 8 * i);
        if (!sums_to_zero(table, get32(table + 4)))
            fail("a table's checksum is wrong");
        print("acpi: %c%c%c%c\n", table[0], table[1], table[2], table[3]);
    }
    const uint8_t *dsdt = acpi_table("DSDT", &length);
    if (!same(dsdt, "DSDT", 4) || !sums_to_zero(dsdt, length))
        fail("the DSDT is wrong");
    print("acpi: DSDT\n");
    print("acpi: cpus %u\n", (uint64_t)acpi_cpus(ids, sizeof ids));
    for (unsigned i = 0; acpi_window(i, &window); i++)
        print("acpi: device at %x, gsi %u\n", window.base, (uint64_t)window.gsi);
}
