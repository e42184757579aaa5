// The floor: the bare KVM calls that any VMM must make, in one process.
//
// Makes a VM with 256 MiB of RAM, an in-kernel interrupt chip and one vCPU with
// CPUID, runs a guest of two instructions to its first port write, and prints
// how many nanoseconds passed from main to that exit. Kiln is measured against it.
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define RAM_SIZE (256UL << 20)
#define CPUID_ENTRIES 256

static long long now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int call(int fd, unsigned long request, void *arg, const char *name)
{
    int result = ioctl(fd, request, arg);
    if (result < 0)
        err(1, "%s", name);
    return result;
}
#define CALL(fd, request, arg) call(fd, request, (void *)(arg), #request)

static void set_registers(int vcpu)
{
    struct kvm_sregs sregs;
    CALL(vcpu, KVM_GET_SREGS, &sregs);
    sregs.cs.base = sregs.cs.selector = 0;
    CALL(vcpu, KVM_SET_SREGS, &sregs);
    struct kvm_regs regs = { .rip = 0x1000, .rflags = 2, .rdx = 0x3f8, .rax = 'x' };
    CALL(vcpu, KVM_SET_REGS, &regs);
}

int main(void)
{
    long long start = now();
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    if (kvm < 0)
        err(1, "/dev/kvm");
    int vm = CALL(kvm, KVM_CREATE_VM, 0);
    unsigned char *ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (ram == MAP_FAILED)
        err(1, "guest memory");
    memcpy(ram + 0x1000, "\xee\xf4", 2); // out dx, al; hlt
    struct kvm_userspace_memory_region slot = {
        .memory_size = RAM_SIZE, .userspace_addr = (unsigned long)ram };
    CALL(vm, KVM_SET_USER_MEMORY_REGION, &slot);
    CALL(vm, KVM_SET_TSS_ADDR, 0xfffbd000);
    CALL(vm, KVM_CREATE_IRQCHIP, 0);

    int vcpu = CALL(vm, KVM_CREATE_VCPU, 0);
    struct kvm_cpuid2 *cpuid =
        calloc(1, sizeof *cpuid + CPUID_ENTRIES * sizeof cpuid->entries[0]);
    if (!cpuid)
        err(1, "CPUID leaves");
    cpuid->nent = CPUID_ENTRIES;
    CALL(kvm, KVM_GET_SUPPORTED_CPUID, cpuid);
    CALL(vcpu, KVM_SET_CPUID2, cpuid);
    int run_size = CALL(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    struct kvm_run *run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
    if (run == MAP_FAILED)
        err(1, "vCPU state");
    set_registers(vcpu);
    CALL(vcpu, KVM_RUN, 0);
    if (run->exit_reason != KVM_EXIT_IO)
        errx(1, "the guest stopped for reason %u instead of a port write", run->exit_reason);
    printf("%lld\n", now() - start);
    return 0;
}
