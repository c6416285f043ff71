/* SPDX-License-Identifier: Apache-2.0 */
/* domain/decide.h: who may do what to what, as a table to be read; and what holds in every combination of facts there is. */
#include "domain/decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/tap.h"

/* ---- people ------------------------------------------------------------------------------------------------ */

enum { OWNER = 1, RECEIVER = 2, STRANGER = 3, OPERATOR = 4, VENDOR = 5, OTHER_VENDOR = 6 };

static const struct who owner = { .account = OWNER }, receiver = { .account = RECEIVER }, stranger = { .account = STRANGER },
			operator_ = { .account = OPERATOR, .is_operator = true },
			operator_owner = { .account = OWNER, .is_operator = true },
			vendor = { .account = VENDOR, .is_vendor = true }, other_vendor = { .account = OTHER_VENDOR, .is_vendor = true };

/* ---- things ------------------------------------------------------------------------------------------------ */

static const struct image custom = { .name = "custom", .kind = KIND_IMAGE, .state = STATE_AVAILABLE, .owner = OWNER,
				     .shelf = { .account = OWNER, .region = 1, .type = TYPE_CUSTOM } };
static struct facts of(const struct image *i) { return (struct facts){ .image = i, .download = DOWNLOAD_UNCHARGED, .shared_instance_image = true }; }

static struct image changed;
#define WITH(thing, ...) ({ changed = (thing); struct image *i = &changed; __VA_ARGS__; of(&changed); })

static struct facts a_custom(void) { return of(&custom); }
static struct facts a_pending(void) { return WITH(custom, i->state = STATE_PENDING); }
static struct facts a_protected(void) { return WITH(custom, i->is_protected = true); }
static struct facts a_used(void) { return WITH(custom, i->used = true); }
static struct facts a_byol(void) { struct facts f = a_custom(); f.byol = true; return f; }
static struct facts in_trash(void) { return WITH(custom, i->state = STATE_TRASHED, i->state_before_trash = STATE_AVAILABLE, i->shelf.trash = true); }
static struct facts an_alias(void) { return WITH(custom, i->kind = KIND_ALIAS); }
static struct facts an_instance(void) { return WITH(custom, i->shelf.type = TYPE_INSTANCE); }
static struct facts an_instance_of_shared(void) { return WITH(custom, i->shelf.type = TYPE_INSTANCE, i->from_shared = true); }
static struct facts not_to_be_imaged(void) { struct facts f = an_instance_of_shared(); f.shared_instance_image = false; return f; }
static struct facts an_image_of_shared(void) { struct facts f = WITH(custom, i->from_shared = true); f.shared_instance_image = false; return f; }

/* Seen by its owner: somebody has it. */
static struct facts given_away(void) { struct facts f = a_custom(); f.shared_with[0] = 'b'; return f; }
static struct facts given_protected(void) { struct facts f = a_protected(); f.shared_with[0] = 'b'; return f; }
/* Seen by who has it. */
static struct facts received(void) { struct facts f = a_custom(); f.received = true; return f; }
static struct facts received_all(void) { struct facts f = received(); f.download = DOWNLOAD_ALL; return f; }
static struct facts received_copy(void) { struct facts f = received(); f.shared_copy = f.to_custom = true; f.to_region = 1; return f; }
static struct facts received_copy_away(void) { struct facts f = received_copy(); f.to_region = 2; return f; }
static struct facts received_copy_up(void) { struct facts f = received_copy(); f.to_custom = false; return f; }
static struct facts received_protected(void) { struct facts f = a_protected(); f.received = true; return f; }

static struct facts public_of(struct image made) { return WITH(made, i->shelf.account = 0, i->shelf.type = TYPE_PUBLIC, i->published = true); }
static struct facts a_public(void) { return public_of(custom); }
static struct facts public_pending(void) { struct facts f = a_public(); changed.state = STATE_PENDING; return f; }
static struct facts public_failed(void) { struct facts f = a_public(); changed.state = STATE_FAILED; return f; }
static struct facts public_deprecated(void) { struct facts f = a_public(); changed.state = STATE_DEPRECATED; return f; }
static struct facts public_charged(void) { struct facts f = a_public(); f.charged = true; return f; }
static struct facts public_for_all(void) { struct facts f = public_charged(); f.download = DOWNLOAD_ALL; return f; }
static struct facts public_for_none(void) { struct facts f = a_public(); f.download = DOWNLOAD_NONE; return f; }
static struct facts public_protected(void) { struct facts f = a_public(); changed.is_protected = true; return f; }
static struct facts public_alias(void) { struct facts f = a_public(); changed.kind = KIND_ALIAS; return f; }
/* In the trash a public image is its owner's alone. */
static struct facts public_in_trash(void) { return WITH(custom, i->shelf.type = TYPE_PUBLIC, i->shelf.trash = true, i->published = true, i->state = STATE_TRASHED,
								 i->state_before_trash = STATE_AVAILABLE); }

static struct facts market(enum image_state state, bool published)
{
	return WITH(custom, i->shelf.account = 0, i->shelf.type = TYPE_MARKETPLACE, i->owner = VENDOR, i->state = (uint8_t)state,
		    i->published = published);
}
static struct facts market_published(void) { return market(STATE_AVAILABLE, true); }
static struct facts market_pending(void) { return market(STATE_PENDING, false); }
static struct facts market_submitted(void) { return market(STATE_SUBMITTED, false); }
static struct facts market_rejected(void) { return market(STATE_REJECTED, false); }
static struct facts market_deprecated(void) { return market(STATE_DEPRECATED, true); }
static struct facts market_protected(void) { struct facts f = market_published(); changed.is_protected = true; return f; }
/* What remains when its disk was deleted. */
static struct facts market_shell(void) { struct facts f = market_pending(); changed.trashed = 1; return f; }
static struct facts market_in_trash(void)
{
	struct facts f = market(STATE_TRASHED, true);
	changed.shelf.trash = true;
	changed.shelf.account = VENDOR;
	changed.state_before_trash = STATE_AVAILABLE;
	return f;
}
static struct facts market_charged(void) { struct facts f = market_published(); f.charged = true; return f; }

/* ---- the table --------------------------------------------------------------------------------------------- */

/* .: may; N: there is no such thing; P: EPERM; B: EBUSY; R: EROFS. Of: see read copy start change delete protect share. */
static const enum verb verbs[] = { MAY_SEE, MAY_READ, MAY_COPY, MAY_START, MAY_CHANGE, MAY_DELETE, MAY_PROTECT, MAY_SHARE };

#define ROW(thing, who, want) { #thing, #who, thing, &(who), want }
static const struct row {
	const char *thing, *person;
	struct facts (*facts)(void);
	const struct who *who;
	const char *want;
} table[] = {
	/*                                      srcscdps   see read copy start change delete protect share */
	ROW(a_custom, owner,                   "........"),
	ROW(a_custom, operator_owner,          "........"),
	ROW(a_custom, operator_,               "....PPPP"),
	ROW(a_custom, stranger,                "NNNNNNNN"),
	ROW(a_custom, vendor,                  "NNNNNNNN"),
	ROW(a_pending, owner,                  "...B...."),
	ROW(a_pending, operator_,              "...BPPPP"),
	ROW(a_pending, stranger,               "NNNNNNNN"),
	ROW(a_used, owner,                     "........"),
	ROW(a_protected, owner,                "....PP.."),
	ROW(a_protected, operator_owner,       "....PP.."),
	ROW(a_protected, operator_,            "....PPPP"),
	ROW(a_protected, stranger,             "NNNNNNNN"),
	ROW(a_byol, owner,                     ".......P"),
	ROW(a_byol, stranger,                  "NNNNNNNN"),
	ROW(in_trash, owner,                   "....P..P"),
	ROW(in_trash, operator_,               "....PPPP"),
	ROW(in_trash, stranger,                "NNNNNNNN"),
	ROW(an_alias, owner,                   "........"),
	ROW(an_alias, stranger,                "NNNNNNNN"),
	ROW(an_instance, owner,                ".......P"),
	ROW(an_instance, operator_,            "....PPPP"),
	ROW(an_instance, stranger,             "NNNNNNNN"),
	ROW(an_instance_of_shared, owner,      ".......P"),
	ROW(not_to_be_imaged, owner,           "..R....P"),
	ROW(not_to_be_imaged, operator_,       "....PPPP"),
	ROW(an_image_of_shared, owner,         "........"),

	ROW(given_away, owner,                 ".....B.."),
	ROW(given_away, operator_,             "....PPPP"),
	ROW(given_away, stranger,              "NNNNNNNN"),
	ROW(given_protected, owner,            "....PP.."),
	ROW(received, receiver,                ".PP.PPPP"),
	ROW(received_all, receiver,            ".PP.PPPP"),
	ROW(received_copy, receiver,           ".P..PPPP"),
	ROW(received_copy_away, receiver,      ".PP.PPPP"),
	ROW(received_copy_up, receiver,        ".PP.PPPP"),
	ROW(received_protected, receiver,      ".PP.PPPP"),
	ROW(received, operator_,               "....PPPP"),

	ROW(a_public, stranger,                "....PPPP"),
	ROW(a_public, vendor,                  "....PPPP"),
	ROW(a_public, owner,                   ".......P"),
	ROW(a_public, operator_,               ".......P"),
	ROW(public_pending, stranger,          "NNNNNNNN"),
	ROW(public_pending, operator_,         "...B...P"),
	ROW(public_failed, stranger,           "NNNNNNNN"),
	ROW(public_deprecated, stranger,       "....PPPP"),
	ROW(public_charged, stranger,          ".PP.PPPP"),
	ROW(public_charged, operator_,         ".......P"),
	ROW(public_for_all, stranger,          "....PPPP"),
	ROW(public_for_none, stranger,         ".PP.PPPP"),
	ROW(public_for_none, owner,            ".......P"),
	ROW(public_protected, stranger,        "....PPPP"),
	ROW(public_protected, operator_,       "....PP.P"),
	ROW(public_alias, stranger,            "....PPPP"),
	ROW(public_in_trash, owner,            "....P..P"),
	ROW(public_in_trash, operator_,        "....PPPP"),
	ROW(public_in_trash, stranger,         "NNNNNNNN"),

	ROW(market_published, stranger,        "....PPPP"),
	ROW(market_published, other_vendor,    "....PPPP"),
	ROW(market_charged, stranger,          ".PP.PPPP"),
	ROW(market_charged, other_vendor,      ".PP.PPPP"),
	ROW(market_pending, stranger,          "NNNNNNNN"),
	ROW(market_pending, other_vendor,      "NNNNNNNN"),
	ROW(market_submitted, stranger,        "NNNNNNNN"),
	ROW(market_submitted, other_vendor,    "NNNNNNNN"),
	ROW(market_rejected, stranger,         "NNNNNNNN"),
	ROW(market_rejected, other_vendor,     "NNNNNNNN"),
	ROW(market_charged, vendor,            "....PP.P"),
	ROW(market_charged, operator_,         "....P..P"),
	ROW(market_in_trash, vendor,           "....P..P"),
	ROW(market_in_trash, operator_,        "....PPPP"),
	ROW(market_in_trash, stranger,         "NNNNNNNN"),
};

/* The same, of: start change delete protect publish withdraw reject deprecate. */
static const enum verb review_verbs[] = { MAY_START, MAY_CHANGE, MAY_DELETE, MAY_PROTECT, MAY_PUBLISH, MAY_WITHDRAW, MAY_REJECT,
					  MAY_DEPRECATE };
static const struct row review_table[] = {
	/*                                      scdppwrd   start change delete protect publish withdraw reject deprecate */
	ROW(market_pending, vendor,            "B...PPPP"),
	ROW(market_pending, operator_,         "B...PPPP"),
	ROW(market_shell, vendor,              "BP..PPPP"),
	ROW(market_shell, operator_,           "BP..PPPP"),
	ROW(market_submitted, vendor,          ".P..PPPP"),
	ROW(market_submitted, operator_,       ".P.....P"),
	ROW(market_submitted, other_vendor,    "NNNNNNNN"),
	ROW(market_rejected, vendor,           ".P..PPPP"),
	ROW(market_rejected, operator_,        ".P..P..P"),
	ROW(market_rejected, stranger,         "NNNNNNNN"),
	ROW(market_published, vendor,          ".PP.PPPP"),
	ROW(market_published, operator_,       ".P....P."),
	ROW(market_published, other_vendor,    ".PPPPPPP"),
	ROW(market_published, stranger,        ".PPPPPPP"),
	ROW(market_deprecated, vendor,         ".PP.PPPP"),
	ROW(market_deprecated, operator_,      ".P....P."),
	ROW(market_deprecated, stranger,       ".PPPPPPP"),
	ROW(market_protected, operator_,       ".PP...PP"),
	ROW(market_in_trash, vendor,           ".P..PPPP"),
	ROW(a_public, operator_,               "....PPP."),
	ROW(a_public, stranger,                ".PPPPPPP"),
	ROW(public_pending, operator_,         "B...PPPP"),
	ROW(public_deprecated, operator_,      "....PPP."),
	ROW(public_protected, operator_,       ".PP.PPPP"),
	ROW(a_custom, owner,                   "....PPPP"),
	ROW(a_custom, operator_owner,          "....PPPP"),
	ROW(received, receiver,                ".PPPPPPP"),
};

static char letter(int r)
{
	switch (r) {
	case 0: return '.';
	case -ENOENT: return 'N';
	case -EPERM: return 'P';
	case -EACCES: return 'A';
	case -EBUSY: return 'B';
	case -EROFS: return 'R';
	default: return '?';
	}
}

#define COLUMNS 8
_Static_assert(sizeof verbs / sizeof *verbs == COLUMNS && sizeof review_verbs / sizeof *review_verbs == COLUMNS, "columns");

static void check_rows(const struct row *rows, size_t count, const enum verb *of_columns)
{
	for (size_t n = 0; n < count; n++) {
		const struct row *row = &rows[n];
		struct facts f = row->facts();
		char got[COLUMNS + 1] = "";
		for (size_t v = 0; v < COLUMNS; v++) {
			struct error err = { .text = "" };
			int r = decide(row->who, of_columns[v], &f, &err);
			got[v] = letter(r);
			if (r && !err.text[0])
				got[v] = '?'; /* a refusal says why */
			if (r == -ENOENT && strstr(err.text, f.image->name))
				got[v] = '!'; /* and does not tell what it hides */
		}
		is_str(got, row->want, "%s, %s", row->thing, row->person);
	}
}

/* ---- shelves ------------------------------------------------------------------------------------------------ */

#define SHELF(a, t, bin) { .account = (a), .region = 1, .type = (t), .trash = (bin) }
static const struct shelf_row {
	const char *name;
	struct shelf shelf;
	const struct who *who;
	char list, create;
} shelves[] = {
	{ "one's own custom", SHELF(OWNER, TYPE_CUSTOM, false), &owner, '.', '.' },
	{ "one's own instances", SHELF(OWNER, TYPE_INSTANCE, false), &owner, '.', '.' },
	{ "one's own shared", SHELF(OWNER, TYPE_SHARED, false), &owner, '.', 'P' },
	{ "one's own trash", SHELF(OWNER, TYPE_CUSTOM, true), &owner, '.', 'P' },
	{ "another's custom", SHELF(OWNER, TYPE_CUSTOM, false), &stranger, 'N', 'P' },
	{ "another's custom, a vendor", SHELF(OWNER, TYPE_CUSTOM, false), &vendor, 'N', 'P' },
	{ "another's custom, an operator", SHELF(OWNER, TYPE_CUSTOM, false), &operator_, '.', 'P' },
	{ "another's instances", SHELF(OWNER, TYPE_INSTANCE, false), &stranger, 'N', 'P' },
	{ "another's instances, an operator", SHELF(OWNER, TYPE_INSTANCE, false), &operator_, '.', 'P' },
	{ "the box of another", SHELF(OWNER, TYPE_SHARED, false), &stranger, '.', 'P' },
	{ "another's trash", SHELF(OWNER, TYPE_CUSTOM, true), &stranger, 'N', 'P' },
	{ "another's trash, an operator", SHELF(OWNER, TYPE_CUSTOM, true), &operator_, '.', 'P' },
	{ "public", SHELF(0, TYPE_PUBLIC, false), &stranger, '.', 'P' },
	{ "public, a vendor", SHELF(0, TYPE_PUBLIC, false), &vendor, '.', 'P' },
	{ "public, an operator", SHELF(0, TYPE_PUBLIC, false), &operator_, '.', '.' },
	{ "marketplace", SHELF(0, TYPE_MARKETPLACE, false), &stranger, '.', 'P' },
	{ "marketplace, a vendor", SHELF(0, TYPE_MARKETPLACE, false), &vendor, '.', '.' },
	{ "marketplace, an operator", SHELF(0, TYPE_MARKETPLACE, false), &operator_, '.', '.' },
};

static void check_shelves(void)
{
	struct error err;
	for (size_t n = 0; n < sizeof shelves / sizeof *shelves; n++) {
		const struct shelf_row *row = &shelves[n];
		struct facts f = { .shelf = &row->shelf };
		char got[3] = { letter(decide(row->who, MAY_LIST, &f, &err)), letter(decide(row->who, MAY_CREATE, &f, &err)), 0 };
		const char want[3] = { row->list, row->create, 0 };
		is_str(got, want, "list and create: %s", row->name);
	}
	is_int(decide(&operator_, MAY_MANAGE, NULL, &err), 0, "operators manage");
	is_int(decide(&vendor, MAY_MANAGE, NULL, &err), -EPERM, "vendors do not");
	is_int(decide(&owner, MAY_MANAGE, NULL, &err), -EPERM, "nor does anybody else");
	is_int(decide(&stranger, MAY_ACCEPT, NULL, &err), 0, "everybody says whose shares they take");
}

/* ---- what holds everywhere ----------------------------------------------------------------------------------- */

/* One bit, or a few, for each fact. */
struct mix {
	bool mine, is_operator, is_vendor, trash, published, is_protected, received, byol, charged, shared_copy, to_here, to_custom,
		from_shared, image_of_shared, given, alias;
	unsigned type, state, download;
};

static unsigned take(uint64_t *bits, unsigned n)
{
	unsigned v = (unsigned)(*bits % n);
	*bits /= n;
	return v;
}

static struct mix unmix(uint64_t bits)
{
	struct mix m;
	bool *const flags[] = { &m.mine, &m.is_operator, &m.trash, &m.published, &m.is_protected, &m.received, &m.byol, &m.charged,
				&m.shared_copy, &m.to_here, &m.to_custom, &m.from_shared, &m.image_of_shared, &m.given };
	m.is_vendor = m.alias = false;
	for (size_t n = 0; n < sizeof flags / sizeof *flags; n++)
		*flags[n] = take(&bits, 2);
	m.type = take(&bits, TYPE_MAX_);
	m.state = take(&bits, STATE_TRASHED + 1);
	m.download = take(&bits, 3);
	return m;
}
#define MIXES ((uint64_t)(1 << 14) * TYPE_MAX_ * (STATE_TRASHED + 1) * 3)

static bool is_common(const struct mix *m) { return m->type == TYPE_PUBLIC || m->type == TYPE_MARKETPLACE; }

static bool is_published(const struct mix *m)
{
	return is_common(m) && !m->trash && m->published && (m->state == STATE_AVAILABLE || m->state == STATE_DEPRECATED);
}

static bool is_whole(const struct mix *m) { return m->state != STATE_PENDING && m->state != STATE_FAILED; }

/* Reviews, and what a review was about. */
static const char *wrong_review(const struct mix *m, enum verb v)
{
	bool reviews = v == MAY_PUBLISH || v == MAY_WITHDRAW || v == MAY_REJECT;
	if ((reviews || v == MAY_DEPRECATE) && (!m->is_operator || m->trash))
		return "operators review and deprecate";
	if (reviews && (m->type != TYPE_MARKETPLACE || !is_whole(m)))
		return "this was not submitted";
	if (v == MAY_PUBLISH && m->state == STATE_REJECTED)
		return "it was rejected";
	if (v == MAY_REJECT && m->published)
		return "it is published";
	if (v == MAY_DEPRECATE && (!is_published(m) || m->is_protected))
		return "only what is published, and not protected, is deprecated";
	if ((v == MAY_CHANGE || v == MAY_WRITE) && m->type == TYPE_MARKETPLACE && is_whole(m))
		return "what was submitted changes";
	if (v == MAY_DELETE && m->type == TYPE_MARKETPLACE && m->published && !m->trash && !m->is_operator)
		return "what is published is removed by its vendor";
	return NULL;
}

/* What is wrong with this answer; NULL: nothing. */
static const char *wrong(const struct mix *m, enum verb v, int r)
{
	bool mine = m->mine, above = mine || m->is_operator, sees = above || m->received || is_published(m);
	bool is_owner = mine || (m->is_operator && is_common(m) && !m->trash);
	bool changes = v == MAY_CHANGE || v == MAY_WRITE || v == MAY_DELETE || v == MAY_PROTECT || v == MAY_SHARE;
	if ((r == -ENOENT) != !sees)
		return "who does not see it is told that it is not there, and nobody else is";
	if (r && r != -ENOENT && r != -EPERM && r != -EBUSY && r != -EROFS)
		return "an errno of its own";
	if (r)
		return sees && (v == MAY_SEE || (v == MAY_START && is_whole(m) && m->state != STATE_TRASHED)) ? "who sees it starts it" : NULL;
	if (changes && !is_owner)
		return "somebody else changes it";
	if ((v == MAY_CHANGE || v == MAY_DELETE) && m->is_protected)
		return "it is protected";
	if (v == MAY_WRITE && m->is_protected && m->type != TYPE_INSTANCE)
		return "it is protected, and no server writes it";
	if ((v == MAY_CHANGE || v == MAY_WRITE) && m->trash)
		return "it is in the trash";
	if (v == MAY_DELETE && m->given)
		return "somebody has it";
	if (v == MAY_SHARE && (!mine || m->type != TYPE_CUSTOM || m->trash || m->byol))
		return "this is not shared";
	if ((v == MAY_READ || v == MAY_COPY) && !above && m->received && !(v == MAY_COPY && m->shared_copy && m->to_here && m->to_custom))
		return "a receiver takes the bytes";
	if ((v == MAY_READ || v == MAY_COPY) && !above && !m->received &&
	    (m->download == DOWNLOAD_NONE || (m->download == DOWNLOAD_UNCHARGED && m->charged)))
		return "it is for instances";
	if (v == MAY_COPY && mine && m->type == TYPE_INSTANCE && m->from_shared && !m->image_of_shared)
		return "no image is made of an instance of a shared one";
	return wrong_review(m, v);
}

/* A server writes to its disk, protected or not. */
static void check_writing(void)
{
	struct error err;
	struct facts f = an_instance();
	is_int(decide(&owner, MAY_WRITE, &f, &err), 0, "a server writes to its disk");
	changed.is_protected = true;
	is_int(decide(&owner, MAY_WRITE, &f, &err), 0, "a protected one, too");
	is_int(decide(&owner, MAY_DELETE, &f, &err), -EPERM, "which is not destroyed");
	is_int(decide(&owner, MAY_CHANGE, &f, &err), -EPERM, "nor installed anew");
	is_int(decide(&operator_, MAY_WRITE, &f, &err), -EPERM, "its disk is its owner's");
	is_int(decide(&stranger, MAY_WRITE, &f, &err), -ENOENT, "and nobody else knows of it");
}

static void check_everywhere(void)
{
	uint64_t bad = 0;
	for (uint64_t bits = 0; bits < MIXES; bits++) {
		struct mix m = unmix(bits);
		struct image i = { .owner = OWNER, .state = (uint8_t)m.state, .published = m.published, .is_protected = m.is_protected,
				   .from_shared = m.from_shared, .shelf = { .account = is_common(&m) && !m.trash ? 0 : OWNER, .region = 1,
				   .type = (uint8_t)m.type, .trash = m.trash } };
		struct facts f = { .image = &i, .to_region = m.to_here ? 1 : 2, .to_custom = m.to_custom, .received = m.received,
				   .charged = m.charged, .byol = m.byol, .download = (enum download)m.download,
				   .shared_copy = m.shared_copy, .shared_instance_image = m.image_of_shared };
		struct who w = { .account = m.mine ? OWNER : STRANGER, .is_operator = m.is_operator };
		struct who with_vendor = w;
		with_vendor.is_vendor = true;
		f.shared_with[0] = m.given ? 'x' : 0;
		for (enum verb v = MAY_SEE; v <= MAY_DEPRECATE; v++) {
			int r = decide(&w, v, &f, NULL);
			const char *why = wrong(&m, v, r);
			if (!why && decide(&with_vendor, v, &f, NULL) != r)
				why = "to be a vendor is no right to others' images";
			if (why && bad++ < 5)
				diag("%s: verb %d, mix %llx, %d", why, (int)v, (unsigned long long)bits, r);
		}
	}
	is_int((int64_t)bad, 0, "%llu combinations of facts", (unsigned long long)MIXES);
}

int main(void)
{
	check_rows(table, sizeof table / sizeof *table, verbs);
	check_rows(review_table, sizeof review_table / sizeof *review_table, review_verbs);
	check_shelves();
	check_writing();
	check_everywhere();
	return done_testing();
}
