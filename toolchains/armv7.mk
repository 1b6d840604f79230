# 32-bit Arm with hardware floating point, ARMv7: Raspberry Pi 2, 3, 4 and Zero 2 W with a 32-bit system, BeagleBone.
# Debian and Ubuntu: gcc-arm-linux-gnueabihf; qemu-user-static runs it elsewhere.
CROSS := arm-linux-gnueabihf
TARGET_ARCH := armhf
TARGET_RUN := qemu-arm-static
include toolchains/include/musl.mk
