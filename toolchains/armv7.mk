# 32-bit Arm with hardware floating point, static with musl: Raspberry Pi 2 and later on 32-bit systems, BeagleBone.
# Debian: gcc-arm-linux-gnueabihf; qemu-user-static to run it here. musl is unpacked below build/deps, not installed.
TARGET_ARCH := armhf
TARGET := arm-linux
TARGET_ABI := eabihf
include toolchains/include/musl.mk
