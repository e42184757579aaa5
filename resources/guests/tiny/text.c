/* Printing, and the little of a C library that is needed. */
#include <stdarg.h>

#include "machine.h"
#include "tiny.h"

static void put(const char *text) {
    for (; *text; text++)
        outb(SERIAL, *text);
}

static void put_number(uint64_t value, unsigned base) {
    char digits[21];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do {
        *--first = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    put(first);
}

void print(const char *format, ...) {
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        if (*format != '%') {
            outb(SERIAL, *format);
            continue;
        }
        switch (*++format) {
        case 's': put(va_arg(values, const char *)); break;
        case 'c': outb(SERIAL, va_arg(values, int)); break;
        case 'u': put_number(va_arg(values, uint64_t), 10); break;
        case 'x': put_number(va_arg(values, uint64_t), 16); break;
        }
    }
    va_end(values);
}

/* Status 99: nothing else ends so. */
void fail(const char *why) {
    print("tiny: %s\n", why);
    outb(DEBUG_EXIT, 99);
    for (;;)
        __asm__ volatile("cli; hlt");
}

uint64_t parse_number(const char **text, unsigned base) {
    uint64_t value = 0;
    for (;; (*text)++) {
        unsigned c = **text, digit;
        if (c >= '0' && c <= '9')
            digit = c - '0';
        else if (c >= 'a' && c <= 'f')
            digit = c - 'a' + 10;
        else
            return value;
        if (digit >= base)
            return value;
        value = value * base + digit;
    }
}

bool starts_with(const char *text, const char *start) {
    while (*start)
        if (*text++ != *start++)
            return false;
    return true;
}

bool same(const void *a, const void *b, size_t size) {
    const uint8_t *x = a, *y = b;
    for (size_t i = 0; i < size; i++)
        if (x[i] != y[i])
            return false;
    return true;
}

void copy(void *to, const void *from, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = ((const uint8_t *)from)[i];
}

void fill(void *to, uint8_t byte, size_t size) {
    for (size_t i = 0; i < size; i++)
        ((volatile uint8_t *)to)[i] = byte;
}
