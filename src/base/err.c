/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int fail(struct error *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	va_list ap;
	va_start(ap, format);
	vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	err->code = code;
	return code;
}

int fail_errno(struct error *err, const char *format, ...)
{
	int code = errno ? -errno : -EIO;
	if (!err)
		return code;
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(err->text, sizeof err->text, format, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof err->text)
		snprintf(err->text + n, sizeof err->text - (size_t)n, ": %s", strerror(-code));
	err->code = code;
	return code;
}

int err_to_errno(int code)
{
	switch (code) {
	case ERR_DAMAGED: return EIO;
	case ERR_STALE: return ESTALE;
	case ERR_NEWER: return EPROTONOSUPPORT;
	case ERR_FULL: return ENOSPC;
	default: return code > -1000 && code < 0 ? -code : EIO;
	}
}

const char *err_name(int code)
{
	switch (code) {
	case ERR_DAMAGED: return "damaged";
	case ERR_STALE: return "stale";
	case ERR_NEWER: return "newer";
	case ERR_FULL: return "full";
	default: break;
	}
	const char *name = strerrorname_np(-code);
	return name ? name : "unknown";
}
