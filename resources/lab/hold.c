// Keeps a VM with one idle vCPU for as long as it runs.
//
// KVM patches its own code when the first VM is made and the last one ends, and when the first
// local APIC is off and the last one comes on. Emulated processors can trip over that; with this
// VM there, never run and its APIC off, neither happens while a lab is up.
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(void)
{
    int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
    if (vm < 0 || ioctl(vm, KVM_CREATE_IRQCHIP, 0) < 0 || ioctl(vm, KVM_CREATE_VCPU, 0) < 0)
        err(1, "a VM to hold");
    for (;;)
        pause();
}
