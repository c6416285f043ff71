/* SPDX-License-Identifier: Apache-2.0 */
/* probe_inside: what the files of an ext file system tell: os-release the system, the ELF header of a program that every
 * system has the processor. */
#include <string.h>

#include "base/num.h"
#include "domain/probe_int.h"

#define OS_RELEASE_MAX 8192u

/* ---- os-release */

/* The value of KEY=value or KEY="value"; "" when there is none, or when it has unexpected characters. */
static void release_value(const char *text, const char *key, char ret[OS_SIZE / 2])
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t key_len = strlen(key);
	ret[0] = 0;
	while (text && (strncmp(text, key, key_len) != 0 || text[key_len] != '=')) {
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	if (!text)
		return;
	text += key_len + 1;
	char quote = *text == '"' || *text == '\'' ? *text++ : '\n';
	size_t len = strspn(text, allowed);
	bool ended = text[len] == quote || text[len] == 0 || text[len] == '\n' || text[len] == '\r';
	if (!ended || len >= OS_SIZE / 2)
		return;
	memcpy(ret, text, len);
	ret[len] = 0;
}

static void os_from_release(const char *text, char os[OS_SIZE])
{
	char id[OS_SIZE / 2], version[OS_SIZE / 2];
	release_value(text, "ID", id);
	release_value(text, "VERSION_ID", version);
	if (!id[0])
		return;
	size_t len = strlen(id);
	memcpy(os, id, len + 1);
	if (version[0]) {
		os[len] = ' ';
		memcpy(os + len + 1, version, strlen(version) + 1);
	}
}

static void find_os(struct probe_ext *ext, struct ext_facts *f)
{
	/* the last is for a file system that is mounted on /usr */
	static const char *const paths[] = { "/etc/os-release", "/usr/lib/os-release", "/lib/os-release" };
	char text[OS_RELEASE_MAX + 1];
	for (unsigned i = 0; i < sizeof paths / sizeof *paths && !f->os[0]; i++) {
		int len = probe_ext_read(ext, paths[i], text, OS_RELEASE_MAX);
		if (len <= 0)
			continue;
		text[len] = 0;
		os_from_release(text, f->os);
	}
}

/* ---- ELF */

struct machine {
	uint16_t number;
	uint8_t bits, order; /* EI_CLASS, EI_DATA; 0: any */
	char arch[ARCH_SIZE];
};

static const struct machine machines[] = {
	{ 62, 0, 1, "x86_64" }, { 3, 1, 1, "i386" },      { 183, 2, 1, "aarch64" },   { 40, 1, 1, "arm" },
	{ 243, 2, 1, "riscv64" }, { 21, 2, 1, "ppc64le" }, { 21, 2, 2, "ppc64" },      { 22, 2, 2, "s390x" },
	{ 258, 2, 1, "loongarch64" },
};

static void arch_from_elf(const uint8_t *elf, char arch[ARCH_SIZE])
{
	if (memcmp(elf, "\x7f" "ELF", 4) != 0)
		return;
	uint16_t number = elf[5] == 2 ? get_be16(elf + 18) : get_le16(elf + 18);
	for (unsigned i = 0; i < sizeof machines / sizeof *machines; i++) {
		const struct machine *m = &machines[i];
		if (m->number == number && (!m->bits || m->bits == elf[4]) && m->order == elf[5]) {
			memcpy(arch, m->arch, ARCH_SIZE);
			return;
		}
	}
}

static void find_arch(struct probe_ext *ext, struct ext_facts *f)
{
	static const char *const paths[] = {
		"/bin/sh", "/usr/bin/env", "/usr/bin/bash", "/bin/bash", "/bin/busybox",
		"/usr/lib/systemd/systemd", "/sbin/init", "/bin/env",
	};
	uint8_t elf[20];
	for (unsigned i = 0; i < sizeof paths / sizeof *paths && !f->arch[0]; i++)
		if (probe_ext_read(ext, paths[i], elf, sizeof elf) == sizeof elf)
			arch_from_elf(elf, f->arch);
}

void probe_inside(const struct source *src, uint64_t offset, uint64_t size, struct ext_facts *ret)
{
	*ret = (struct ext_facts){ .os = "" };
	struct probe_ext *ext = probe_ext_open(src, offset, size);
	if (!ext)
		return;
	find_os(ext, ret);
	find_arch(ext, ret);
	probe_ext_close(ext);
}
