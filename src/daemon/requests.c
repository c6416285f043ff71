/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of status, umount, check, gc, account, region and policy. Anybody with an account may ask for facts, and sees their own mounts; work on
 * the whole store is for root, the owner of its folder and operators. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/account.h"
#include "daemon/daemon_int.h"
#include "daemon/work.h"

#define PROGRESS_NS 200000000

static bool owns_store(const struct client *c)
{
	struct stat st;
	return c->peer.uid == 0 || c->peer.uid == geteuid() || (stat(c->daemon->store, &st) == 0 && st.st_uid == c->peer.uid);
}

enum client_class client_classify(const struct client *c)
{
	struct cat_txn *txn;
	struct account account;
	if (owns_store(c))
		return CLIENT_PRIVILEGED;
	if (cat_begin(c->daemon->service->catalog, &txn, NULL))
		return CLIENT_STRANGER;
	int r = account_by_uid(txn, c->peer.uid, &account);
	cat_end(&txn);
	return r ? CLIENT_STRANGER : account.is_operator ? CLIENT_PRIVILEGED : CLIENT_USER;
}

static bool is_privileged(const struct client *c) { return client_classify(c) == CLIENT_PRIVILEGED; }

static int need_privilege(const struct client *c, struct error *err)
{
	return is_privileged(c) ? 0 : fail(err, -EPERM, "only root, the owner of %s and operators may do this",
					   c->daemon->store);
}

/* ---- a sink that sends. A client that went away misses its results; the work is finished all the same. */
struct sending {
	struct client *client;
	int64_t last_progress;
	bool lost; /* it does not read: nothing more is sent */
};

static void send_fact(void *ctx, const char *text)
{
	struct sending *s = ctx;
	s->lost = s->lost || wire_sendf(s->client->fd, "fact %s", text);
}

static void send_line(void *ctx, const char *text)
{
	struct sending *s = ctx;
	s->lost = s->lost || wire_sendf(s->client->fd, "line %s", text);
}

static void send_progress(void *ctx, uint64_t done, uint64_t total, const char *what)
{
	struct sending *s = ctx;
	int64_t now = clock_mono();
	if (done < total && now - s->last_progress < PROGRESS_NS)
		return;
	s->last_progress = now;
	s->lost = s->lost || wire_sendf(s->client->fd, "progress %llu %llu %s", (unsigned long long)done,
					(unsigned long long)total, what);
}

static struct sink sink_to(struct sending *s)
{
	return (struct sink){ .fact = send_fact, .line = send_line, .progress = send_progress, .ctx = s };
}

/* ---- status: mounts are listed first and told then, for telling may wait, and no mount can end while it is listed */
struct listing {
	struct client *client;
	bool all;
	unsigned count;
	struct buf facts; /* each with its NUL */
};

static void account_name(struct service *service, uint32_t no, char ret[PLACE_NAME_MAX + 1])
{
	struct cat_txn *txn;
	struct account account;
	int r = cat_begin(service->catalog, &txn, NULL);
	if (r == 0) {
		r = account_get(txn, no, &account);
		cat_end(&txn);
	}
	snprintf(ret, PLACE_NAME_MAX + 1, "%s", r ? "?" : account.name);
}

static int list_mount(void *ctx, const struct conn *conn)
{
	struct listing *l = ctx;
	char name[PLACE_NAME_MAX + 1];
	if (!l->all && conn->peer_uid != l->client->peer.uid)
		return 0;
	l->count++;
	account_name(l->client->daemon->service, conn->account, name);
	buf_addf(&l->facts, "mount: uid=%u account=%s allow-other=%s dir=%s", conn->peer_uid, name, conn->allow_other ? "yes" : "no",
		 conn->dir);
	buf_add(&l->facts, "", 1);
	return 0;
}

static void tell_mounts(struct client *c, const struct sink *sink, bool all)
{
	struct listing listing = { .client = c, .all = all, .facts = BUF_INIT };
	(void)sessions_each(front_sessions(c->daemon->front), list_mount, &listing);
	sink_fact(sink, "mounts: %u", all ? sessions_live(front_sessions(c->daemon->front)) : listing.count);
	for (size_t at = 0; at < listing.facts.len; at += strlen(listing.facts.data + at) + 1)
		sink_fact(sink, "%s", listing.facts.data + at);
	buf_free(&listing.facts);
}

int request_status(struct client *c, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	bool all = is_privileged(c);
	uint32_t account;
	char name[33];

	int r = all ? 0 : service_account_of(c->daemon->service, c->peer.uid, &account, name, err);
	if (r == 0)
		r = work_facts(c->daemon->service, all, &sink, err);
	if (r)
		return r;
	sink_fact(&sink, "daemon-pid: %d", (int)getpid());
	sink_fact(&sink, "keeper-pid: %d", (int)getppid());
	sink_fact(&sink, "lingers: %s", life_lingers(c->daemon->life) ? "yes" : "no");
	tell_mounts(c, &sink, all);
	return 0;
}

/* Somebody is about to unmount: what will go with it? */
int request_leaving(struct client *c, struct error *err)
{
	(void)err;
	int r = wire_sendf(c->fd, "ok %d %u %d", (int)getppid(), sessions_live(front_sessions(c->daemon->front)),
			   life_lingers(c->daemon->life));
	return r ? r : 1;
}

/* ---- check, gc: one at a time */
static int begin_work(struct client *c, struct error *err)
{
	int r = need_privilege(c, err);
	if (r)
		return r;
	if (atomic_exchange(&c->daemon->busy, true))
		return fail(err, -EALREADY, "another check or collection of %s is under way", c->daemon->store);
	return 0;
}

int request_check(struct client *c, const char *arguments, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	int r = begin_work(c, err);
	if (r)
		return r;
	r = work_check(c->daemon->service, strcmp(arguments, "read-data") == 0, &sink, err);
	atomic_store(&c->daemon->busy, false);
	return r;
}

int request_gc(struct client *c, const char *arguments, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	int r = begin_work(c, err);
	if (r)
		return r;
	r = work_gc(c->daemon->service, strcmp(arguments, "squeeze") == 0, &sink, err);
	atomic_store(&c->daemon->busy, false);
	return r;
}

/* ---- disconnect: the mounts of an account are noted first and ended then */
struct ending {
	uint32_t account;
	uint32_t *conns;
	unsigned count, room;
};

static int note_mount(void *ctx, const struct conn *conn)
{
	struct ending *e = ctx;
	if (conn->account != e->account)
		return 0;
	if (e->count == e->room) {
		e->room = e->room ? 2 * e->room : 16;
		uint32_t *more = reallocarray(e->conns, e->room, sizeof *more);
		if (!more)
			return -ENOMEM;
		e->conns = more;
	}
	e->conns[e->count++] = conn->no;
	return 0;
}

static int account_number(struct service *service, const char *name, uint32_t *ret, struct error *err)
{
	struct cat_txn *txn;
	struct account account;
	int r = cat_begin(service->catalog, &txn, err);
	if (r)
		return r;
	r = account_find(txn, name, &account);
	cat_end(&txn);
	if (r)
		return fail(err, r, "there is no account %s", name);
	*ret = account.no;
	return 0;
}

int request_disconnect(struct client *c, const char *account, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	struct sessions *sessions = front_sessions(c->daemon->front);
	struct ending e = { .count = 0 };
	int r = need_privilege(c, err);
	if (r == 0)
		r = account_number(c->daemon->service, account, &e.account, err);
	if (r == 0 && sessions_each(sessions, note_mount, &e))
		r = fail(err, -ENOMEM, "there is no memory to list the mounts");
	for (unsigned i = 0; r == 0 && i < e.count; i++)
		sessions_end(sessions, e.conns[i]);
	free(e.conns);
	if (r)
		return r;
	log_info("uid %u ended %u mounts of the account %s", c->peer.uid, e.count, account);
	sink_fact(&sink, "ended: %u", e.count);
	return 0;
}

/* ---- account, region, policy: as the peer's account, so that what may be done is decided as for files */
int request_manage(struct client *c, const char *arguments, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	return work_manage(c->daemon->service, c->peer.uid, arguments, &sink, err);
}

int request_usage(struct client *c, const char *arguments, struct error *err)
{
	struct sending sending = { .client = c };
	struct sink sink = sink_to(&sending);
	return work_usage(c->daemon->service, c->peer.uid, arguments, &sink, err);
}
