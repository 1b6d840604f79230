# 64-bit Arm: Raspberry Pi 3, 4, 5 and Zero 2 W with a 64-bit system, every Jetson, any other arm64 board.
# Debian and Ubuntu: gcc-aarch64-linux-gnu; qemu-user-static runs it elsewhere.
CROSS := aarch64-linux-gnu
TARGET_ARCH := arm64
TARGET_RUN := qemu-aarch64-static
include toolchains/include/musl.mk
