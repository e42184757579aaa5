/* Instructions that C has no words for. */
#ifndef MACHINE_H
#define MACHINE_H

#include <stdint.h>

enum { SERIAL = 0x3f8, DEBUG_EXIT = 0xf4 };

static inline void outb(uint16_t port, uint8_t value) {
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t inb(uint16_t port) {
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint16_t inw(uint16_t port) {
    uint16_t value;
    __asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint32_t inl(uint16_t port) {
    uint32_t value;
    __asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void outw(uint16_t port, uint16_t value) {
    __asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static inline void outl(uint16_t port, uint32_t value) {
    __asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t read_tsc(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t msr, uint64_t value) {
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

struct cpuid {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid cpuid(uint32_t leaf, uint32_t index) {
    struct cpuid r;
    __asm__ volatile("cpuid"
                     : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx)
                     : "a"(leaf), "c"(index));
    return r;
}

/* Of the compiler and of the processor: device memory is shared with another thread. */
static inline void barrier(void) {
    __asm__ volatile("lock orl $0, (%%rsp)" : : : "memory", "cc");
}

static inline volatile uint8_t *mmio8(uint64_t address) {
    return (volatile uint8_t *)address;
}

static inline volatile uint16_t *mmio16(uint64_t address) {
    return (volatile uint16_t *)address;
}

static inline volatile uint32_t *mmio32(uint64_t address) {
    return (volatile uint32_t *)address;
}

#endif
