/* SPDX-License-Identifier: Apache-2.0 */
/* Root acts as the owner of the store, like everywhere: the owner is its first operator. */
#include "cli/manage.h"

#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "cli/client.h"
#include "cli/inside.h"
#include "cli/owner.h"
#include "cli/report.h"

int manage_field(struct buf *request, const char *text, struct error *err)
{
	for (const char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return fail(err, -EINVAL, "\"%.60s\" has a control character in it", text);
	buf_addf(request, "%s%s", request->len ? "\t" : "", text);
	return 0;
}

static int add_uid(struct buf *ret, const char *text, size_t len, struct error *err)
{
	char name[64];
	snprintf(name, sizeof name, "%.*s", (int)len, text);
	if (name[strspn(name, "0123456789")] == 0) {
		buf_addf(ret, " %s", name);
		return 0;
	}
	const struct passwd *p = getpwnam(name);
	if (!p)
		return fail(err, -EINVAL, "there is no user %s on this machine", name);
	buf_addf(ret, " %u", (unsigned)p->pw_uid);
	return 0;
}

static int add_uids(struct buf *ret, const char *list, struct error *err)
{
	int r = 0;
	for (list += strspn(list, " ,"); !r && *list; list += strspn(list, " ,")) {
		size_t n = strcspn(list, " ,");
		r = add_uid(ret, list, n, err);
		list += n;
	}
	return r;
}

/* --uid N, --uid NAME and the like: one field "KEY …". Nothing when there are none. */
static int add_list(struct buf *request, const char *key, const struct option_list *uids, struct error *err)
{
	AUTO_BUF struct buf field = BUF_INIT;
	int r = 0;
	if (!uids->count)
		return 0;
	buf_adds(&field, key);
	for (unsigned i = 0; i < uids->count && !r; i++)
		r = add_uids(&field, uids->items[i], err);
	return r ? r : manage_field(request, field.data, err);
}

int manage_pairs(struct buf *request, char *const *items, int count, struct error *err)
{
	int r = 0;
	if (count % 2)
		return fail(err, -EINVAL, "%s has no value", items[count - 1]);
	for (int i = 0; i < count && !r; i += 2) {
		AUTO_BUF struct buf field = BUF_INIT;
		if (!*items[i] || strpbrk(items[i], " \t"))
			return fail(err, -EINVAL, "\"%.60s\" is no name of a setting", items[i]);
		buf_adds(&field, items[i]);
		if (strcmp(items[i], "uids") == 0 || strcmp(items[i], "add-uids") == 0 || strcmp(items[i], "remove-uids") == 0)
			r = add_uids(&field, items[i + 1], err);
		else
			buf_addf(&field, " %s", items[i + 1]);
		if (!r)
			r = manage_field(request, field.data, err);
	}
	return r;
}

/* ---- asking */
static int manage_here(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	return work_manage(service, geteuid(), arg, sink, err);
}

static int find_store(const char *path, char **ret, struct error *err)
{
	int r = store_find(path, ret, err);
	return r ? r : owner_become(*ret, err);
}

/* Where nobody serves the store there is no mount. */
static int nothing_to_end(void *arg, struct service *service, const struct sink *sink, struct error *err)
{
	(void)arg, (void)service, (void)err;
	sink_fact(sink, "ended: 0");
	return 0;
}

static int ask(const char *path, const struct store_job *job, const struct sink *sink, struct error *err)
{
	AUTO_FREE char *store = NULL;
	int r = find_store(path, &store, err);
	if (r == 0 && strlen(job->request) > WIRE_MAX)
		r = fail(err, -EINVAL, "that is too much for one request");
	return r ? r : store_do(store, job, sink, err);
}

static int ask_and_print(const char *store, const struct store_job *job, enum manage_form form, bool json)
{
	struct report report;
	struct error err;
	report_begin(&report, json, "line");
	report.is_table = form == MANAGE_TABLE;
	struct sink sink = report_sink(&report);
	int r = ask(store, job, &sink, &err);
	report_end(&report);
	int code = r ? complain_of_usage(&err) : report.facts.len || report.is_table ? report_print(&report) : EXIT_DONE;
	report_free(&report);
	return code;
}

int manage_run(const char *store, const struct buf *request, enum manage_form form, bool json)
{
	AUTO_BUF struct buf whole = BUF_INIT;
	buf_addf(&whole, "manage %s", request->data);
	struct store_job job = { .request = whole.data, .offline = manage_here, .arg = request->data };
	return ask_and_print(store, &job, form, json);
}

int manage_disconnect(const char *store, const char *account, bool json)
{
	AUTO_BUF struct buf request = BUF_INIT;
	buf_addf(&request, "disconnect %s", account);
	struct store_job job = { .request = request.data, .offline = nothing_to_end };
	return ask_and_print(store, &job, MANAGE_THING, json);
}

/* ---- commands */
static int usage(const struct command *c)
{
	complain("usage: imagefs %s [OPTION...] %s", c->name, c->operands);
	return EXIT_USAGE;
}

const struct manage_verb *manage_verb(const struct command *c, const struct manage_verb *verbs, const struct operands *o)
{
	for (; verbs->name; verbs++)
		if (strcmp(verbs->name, o->items[0]) == 0)
			break;
	if (verbs->name && o->count - 2 >= verbs->min && o->count - 2 <= verbs->max)
		return verbs;
	usage(c);
	return NULL;
}

static int make_request(struct buf *ret, const char *thing, const struct operands *o, const struct manage_uids *uids, struct error *err)
{
	int r = manage_field(ret, thing, err);
	if (!r)
		r = manage_field(ret, o->items[0], err);
	if (!r && o->count > 2)
		r = manage_field(ret, o->items[2], err);
	if (!r && o->count > 3)
		r = manage_pairs(ret, o->items + 3, o->count - 3, err);
	if (!r)
		r = add_list(ret, "uids", &uids->uids, err);
	if (!r)
		r = add_list(ret, "add-uids", &uids->add, err);
	return r ? r : add_list(ret, "remove-uids", &uids->remove, err);
}

int manage_places(const struct command *c, const struct operands *o, const struct manage_uids *uids, bool json)
{
	static const struct manage_verb verbs[] = {
		{ "list", 0, 0, MANAGE_TABLE }, { "show", 0, 1, MANAGE_THING }, { "add", 1, 65, MANAGE_THING },
		{ "set", 1, 65, MANAGE_THING }, { "remove", 1, 1, MANAGE_THING }, { .name = NULL },
	};
	AUTO_BUF struct buf request = BUF_INIT;
	struct error err;
	const struct manage_verb *verb = manage_verb(c, verbs, o);
	if (!verb)
		return EXIT_USAGE;
	bool set = strcmp(verb->name, "set") == 0, changes = uids->add.count || uids->remove.count;
	if ((uids->uids.count && !set && verb->name[0] != 'a') || (changes && (!set || uids->uids.count)) ||
	    (set && o->count == 3 && !uids->uids.count && !changes))
		return usage(c);
	if (make_request(&request, c->name, o, uids, &err)) {
		complain("%s", err.text);
		return EXIT_USAGE;
	}
	return manage_run(o->items[1], &request, verb->form, json);
}
