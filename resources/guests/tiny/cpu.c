/* What the processors say of themselves, and starting all of them. */
#include "machine.h"
#include "tiny.h"

static void print_text(const char *name, uint32_t a, uint32_t b, uint32_t c) {
    char text[13] = {0};
    copy(text, &a, 4);
    copy(text + 4, &b, 4);
    copy(text + 8, &c, 4);
    print("cpuid: %s %s\n", name, text);
}

void word_cpuid(const char *arg) {
    struct cpuid r = cpuid(0, 0);
    uint32_t last = r.eax;
    (void)arg;
    print_text("vendor", r.ebx, r.edx, r.ecx);
    r = cpuid(1, 0);
    print("cpuid: id %u of %u\n", (uint64_t)r.ebx >> 24, (uint64_t)(r.ebx >> 16 & 0xff));
    print("cpuid: x2apic %u deadline %u hypervisor %u\n", (uint64_t)(r.ecx >> 21 & 1),
          (uint64_t)(r.ecx >> 24 & 1), (uint64_t)(r.ecx >> 31));
    r = cpuid(0x40000000, 0);
    uint32_t last_hypervisor = r.eax;
    print_text("hypervisor", r.ebx, r.ecx, r.edx);
    if (last >= 0x15) {
        r = cpuid(0x15, 0);
        if (r.eax && r.ebx)
            print("cpuid: tsc %u kHz\n", (uint64_t)r.ecx * r.ebx / r.eax / 1000);
    }
    if (last_hypervisor >= 0x40000010) {
        r = cpuid(0x40000010, 0);
        print("cpuid: hypervisor's tsc %u kHz, apic %u kHz\n", (uint64_t)r.eax, (uint64_t)r.ebx);
    }
    for (uint32_t level = 0; last >= 0xb && level < 8; level++) {
        r = cpuid(0xb, level);
        if (!(r.ecx >> 8 & 0xff))
            break;
        print("cpuid: level %u type %u shift %u cpus %u id %u\n", (uint64_t)level,
              (uint64_t)(r.ecx >> 8 & 0xff), (uint64_t)r.eax, (uint64_t)(r.ebx & 0xffff),
              (uint64_t)r.edx);
    }
}

extern const char trampoline[], trampoline_end[];

static volatile uint32_t up, increments;
static volatile uint8_t present[256];
static volatile bool spin;

enum { TURNS = 500 };

/* Where start.S brings every other processor. */
void ap_main(void) {
    present[cpuid(1, 0).ebx >> 24] = 1;
    for (int i = 0; i < TURNS; i++)
        __asm__ volatile("lock incl %0" : "+m"(increments));
    __asm__ volatile("lock incl %0" : "+m"(up));
    while (spin)
        __asm__ volatile("pause");
}

/* Starts every processor of the MADT (Intel SDM 3A §9.4.4). They add to one counter together,
   then halt; with smp:spin they never rest. */
void word_smp(const char *arg) {
    enum { INIT = 0x4500, START_AT_8000 = 0x4608 };
    uint8_t ids[255];
    unsigned count = acpi_cpus(ids, sizeof ids);
    uint8_t own = cpuid(1, 0).ebx >> 24;
    spin = starts_with(arg, "spin");
    copy((void *)0x8000, trampoline, trampoline_end - trampoline);
    apic_on();
    present[own] = 1;
    for (unsigned i = 0; i < count; i++) {
        if (ids[i] == own)
            continue;
        lapic_send(ids[i], INIT);
        lapic_send(ids[i], START_AT_8000);
    }
    /* Long enough for the slowest host; a test that fails should say so. */
    uint64_t start = read_tsc();
    while (up != count - 1 && read_tsc() - start < 100000000000)
        __asm__ volatile("pause");
    unsigned ready = 0;
    for (unsigned i = 0; i < count; i++)
        ready += present[ids[i]];
    print("smp: %u of %u up\n", (uint64_t)ready, (uint64_t)count);
    if (increments != TURNS * (count - 1))
        fail("the processors do not add up");
}

/* probe:PORT (hexadecimal) reads a port in every size. */
void word_probe(const char *arg) {
    uint16_t port = parse_number(&arg, 16);
    print("probe: %x %x %x\n", (uint64_t)inb(port), (uint64_t)inw(port), (uint64_t)inl(port));
}

/* probemem:ADDRESS (hexadecimal) reads an address below 4 GiB in every size. */
void word_probemem(const char *arg) {
    uint64_t at = parse_number(&arg, 16);
    print("probemem: %x %x %x %x\n", (uint64_t) * (volatile uint8_t *)at,
          (uint64_t) * (volatile uint16_t *)at, (uint64_t) * (volatile uint32_t *)at,
          *(volatile uint64_t *)at);
}
