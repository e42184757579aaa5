/* pvpanic: one register, at a port or in a window of a PCI function. */
#include "machine.h"
#include "tiny.h"

enum {
    PORT = 0x505,
    SLOTS = 32,
    REG_COMMAND = 4,
    COMMAND_MEMORY = 2,
    OFFERED = 3, /* panicked, crash loaded */
};

/* pvpanic:BITS and pvpanic-pci:BITS write them (hexadecimal) after a look at what is offered. */
void word_pvpanic(const char *arg) {
    if (inb(PORT) != OFFERED)
        fail("there is no pvpanic at its port");
    outb(PORT, parse_number(&arg, 16));
}

void word_pvpanic_pci(const char *arg) {
    for (uint8_t slot = 1; slot < SLOTS; slot++) {
        if (pci_read(slot, 0) != 0x00111b36)
            continue;
        pci_write16(slot, REG_COMMAND, COMMAND_MEMORY);
        volatile uint8_t *reg = (volatile uint8_t *)pci_window(slot, 0);
        if (*reg != OFFERED)
            fail("pvpanic offers something else");
        *reg = parse_number(&arg, 16);
        return;
    }
    fail("there is no pvpanic on PCI");
}
