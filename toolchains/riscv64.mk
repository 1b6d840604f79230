# 64-bit RISC-V (rv64gc): VisionFive 2, Milk-V, Lichee Pi 4A, any board that runs Debian's riscv64.
# Its gcc before 14 calls libatomic for atomic bytes.
# Debian and Ubuntu: gcc-riscv64-linux-gnu; qemu-user-static runs it elsewhere.
CROSS := riscv64-linux-gnu
TARGET_ARCH := riscv64
TARGET_LIBS := -latomic
TARGET_RUN := qemu-riscv64-static
include toolchains/include/musl.mk
