/* What the parts of the tiny guest share. See README.md. */
#ifndef TINY_H
#define TINY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which boot protocol the guest was entered by; the stubs in entry_*.S name it. */
enum entry { ENTRY_PVH, ENTRY_LINUX64, ENTRY_MULTIBOOT };

struct range {
    uint64_t base, size;
    uint32_t kind; /* as in e820: 1 is RAM */
};

#define MAX_RANGES 32
#define MAX_MODULES 8

/* What the boot protocol told, in one form for all of them. */
struct boot_info {
    const char *entry;
    const char *cmdline;
    uint64_t rsdp;
    unsigned ranges, modules;
    struct range map[MAX_RANGES];
    struct range module[MAX_MODULES]; /* initrds */
};

extern struct boot_info boot;

/* boot_info.c */
void boot_info_read(enum entry entry, uintptr_t info);
void word_entry(const char *arg), word_cmdline(const char *arg);
void word_memmap(const char *arg), word_initrd(const char *arg);

/* text.c: output is written to the serial port without a look at its status. */
void print(const char *format, ...); /* %s %c %u %x, all integers are uint64_t */
_Noreturn void fail(const char *why);
uint64_t parse_number(const char **text, unsigned base);
bool starts_with(const char *text, const char *start);
bool same(const void *a, const void *b, size_t size);
void copy(void *to, const void *from, size_t size);
void fill(void *to, uint8_t byte, size_t size);

/* serial.c */
void word_flood(const char *arg), word_pflood(const char *arg), word_outs(const char *arg);
void word_outsw(const char *arg), word_ins(const char *arg);
void word_echo(const char *arg), word_irqecho(const char *arg), word_recv(const char *arg);

/* acpi.c */
struct acpi_window {
    uint64_t base;
    uint32_t gsi;
    bool level;
};
const uint8_t *acpi_table(const char *signature, uint32_t *length);
bool acpi_window(unsigned nth, struct acpi_window *window);
unsigned acpi_cpus(uint8_t *ids, unsigned room);
int acpi_s5_type(void);
void word_acpi(const char *arg);

/* apic.c */
extern volatile uint32_t interrupts[64]; /* how often each vector came */
void apic_on(void);
/* Enters `entry`, which is not a C function, at this vector; ring 3 may ask for it. */
void apic_trap(uint8_t vector, void (*entry)(void));
/* Calls `handler` when this vector comes. */
void apic_handle(uint8_t vector, void (*handler)(void));
/* Where a message to this processor is written; what is written is the vector. */
uint64_t apic_message_address(void);
void ioapic_route(uint32_t gsi, bool level, uint8_t vector, void (*handler)(void));
void lapic_send(uint8_t id, uint32_t command);
void wait_for_interrupt(uint8_t vector, uint32_t more_than);
void word_tick(const char *arg);

/* pci.c: bus 0, by configuration mechanism #1. */
bool pci_is_there(void);
uint32_t pci_read(uint8_t slot, uint8_t offset); /* an aligned 4 bytes */
void pci_write(uint8_t slot, uint8_t offset, uint32_t value);
uint8_t pci_read8(uint8_t slot, uint8_t offset);
void pci_write16(uint8_t slot, uint8_t offset, uint16_t value);
/* The next capability of this id after `after`, or the first after 0; 0 if there is none. */
uint8_t pci_capability(uint8_t slot, uint8_t id, uint8_t after);
/* The address that a register holds: of this slot, 0 to 5. */
uint64_t pci_window(uint8_t slot, unsigned bar);
void word_pci(const char *arg), word_pcimove(const char *arg);

/* cpu.c */
void word_cpuid(const char *arg), word_smp(const char *arg);
void word_probe(const char *arg), word_probemem(const char *arg);

/* ring3.c */
/* Calls `function` in ring 3 with interrupts on. Ports and privileged instructions fault there. */
void ring3_call(void (*function)(void));

/* end.c */
void word_end(const char *arg), word_exit(const char *arg);

/* pvpanic.c */
void word_pvpanic(const char *arg), word_pvpanic_pci(const char *arg);

/* blk.c, hostile.c, load.c, net.c */
void word_load(const char *arg), word_intx(const char *arg), word_msix(const char *arg);
void word_records(const char *arg), word_capacity(const char *arg);
void word_blk(const char *arg), word_hostile(const char *arg), word_arp(const char *arg);

#endif
