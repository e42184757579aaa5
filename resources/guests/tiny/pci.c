/* PCI (PCI Local Bus 3.0 §3.2.2.3.2, §6). */
#include "machine.h"
#include "tiny.h"

enum {
    ADDRESS = 0xcf8,
    DATA = 0xcfc,
    SLOTS = 32,
    BARS = 6,
    REG_COMMAND = 4,
    REG_CLASS = 8,
    REG_BAR0 = 0x10,
    REG_CAPABILITIES = 0x34,
    REG_LINE = 0x3c,
    COMMAND_PORTS = 1,
    COMMAND_MEMORY = 2,
    BAR_PORTS = 1,
};

static void point(uint8_t slot, uint8_t offset) {
    outl(ADDRESS, 1u << 31 | slot << 11 | (offset & 0xfc));
}

uint32_t pci_read(uint8_t slot, uint8_t offset) {
    point(slot, offset);
    return inl(DATA);
}

void pci_write(uint8_t slot, uint8_t offset, uint32_t value) {
    point(slot, offset);
    outl(DATA, value);
}

uint8_t pci_read8(uint8_t slot, uint8_t offset) {
    point(slot, offset);
    return inb(DATA + (offset & 3));
}

void pci_write16(uint8_t slot, uint8_t offset, uint16_t value) {
    point(slot, offset);
    outw(DATA + (offset & 2), value);
}

bool pci_is_there(void) {
    outl(ADDRESS, 1u << 31);
    return inl(ADDRESS) == 1u << 31 && pci_read(0, 0) != ~0u;
}

uint8_t pci_capability(uint8_t slot, uint8_t id, uint8_t after) {
    uint8_t at = after ? pci_read8(slot, after + 1) : pci_read8(slot, REG_CAPABILITIES);
    for (unsigned turns = 0; at && pci_read8(slot, at) != id; at = pci_read8(slot, at + 1))
        if (++turns > 48)
            fail("a list of capabilities has no end");
    return at;
}

uint64_t pci_window(uint8_t slot, unsigned bar) {
    uint32_t low = pci_read(slot, REG_BAR0 + 4 * bar);
    if (low & BAR_PORTS)
        return low & ~3u;
    uint64_t high = (low & 6) == 4 ? pci_read(slot, REG_BAR0 + 4 * bar + 4) : 0;
    return high << 32 | (low & ~15u);
}

/* Sizes a window as §6.2.5.1 says, while nothing is decoded, and puts it back. */
static uint32_t size_of(uint8_t slot, unsigned bar) {
    uint8_t at = REG_BAR0 + 4 * bar;
    uint32_t before = pci_read(slot, at), command = pci_read(slot, REG_COMMAND);
    pci_write16(slot, REG_COMMAND, command & ~(COMMAND_PORTS | COMMAND_MEMORY));
    pci_write(slot, at, ~0u);
    /* There are no more than 16 bits of a port, so the others may be 0. */
    uint32_t mask = pci_read(slot, at);
    mask = mask & BAR_PORTS ? (mask & ~3u) | 0xffff0000 : mask & ~15u;
    pci_write(slot, at, before);
    pci_write16(slot, REG_COMMAND, command);
    return -mask;
}

/* Whether ECAM, where MCFG says, shows a slot as the ports do. */
static void compare(uint8_t slot) {
    uint32_t length;
    const uint8_t *mcfg = acpi_table("MCFG", &length);
    uint64_t ecam = *(const uint32_t *)(mcfg + 44);
    for (unsigned at = 0; at < 256; at += 4)
        if (*mmio32(ecam + (slot << 15) + at) != pci_read(slot, at))
            fail("ECAM and the configuration ports differ");
    if (*mmio32(ecam + (slot << 15) + 256) != ~0u)
        fail("there is more configuration space than 256 bytes");
}

/* Lists the functions with their windows; checks that both ways to their configuration agree. */
void word_pci(const char *arg) {
    unsigned absent = 0;
    (void)arg;
    if (!pci_is_there()) {
        print("pci: none\n");
        return;
    }
    for (uint8_t slot = 0; slot < SLOTS; slot++) {
        uint32_t id = pci_read(slot, 0);
        if (id == ~0u) {
            absent++;
            continue;
        }
        compare(slot);
        print("pci: slot %u is %x:%x, class %x, line %u", (uint64_t)slot, (uint64_t)(id & 0xffff),
              (uint64_t)(id >> 16), (uint64_t)(pci_read(slot, REG_CLASS) >> 8),
              (uint64_t)(pci_read(slot, REG_LINE) & 0xff));
        for (unsigned bar = 0; bar < BARS; bar++)
            if (size_of(slot, bar))
                print(", %x at %s%x", (uint64_t)size_of(slot, bar),
                      pci_read(slot, REG_BAR0 + 4 * bar) & BAR_PORTS ? "port " : "",
                      pci_window(slot, bar));
        print("\n");
    }
    print("pci: slots free %u\n", (uint64_t)absent);
}

static bool answers(uint64_t address) {
    return *mmio32(address) != ~0u;
}

/* pcimove:ADDRESS moves the first window of slot 1 there, and looks who answers. */
void word_pcimove(const char *arg) {
    uint64_t from = pci_window(1, 0), to = parse_number(&arg, 16);
    uint32_t command = pci_read(1, REG_COMMAND);
    if (!answers(from) || answers(to))
        fail("the window is not where it says");
    pci_write(1, REG_BAR0, to);
    if (answers(from) || !answers(to) || pci_window(1, 0) != to)
        fail("the window has not moved");
    pci_write16(1, REG_COMMAND, command & ~COMMAND_MEMORY);
    if (answers(to))
        fail("the window cannot be disabled");
    pci_write16(1, REG_COMMAND, command);
    print("pcimove: from %x to %x\n", from, to);
}
