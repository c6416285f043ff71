/* SPDX-License-Identifier: Apache-2.0 */
/* front_int: what the front's files share. */
#ifndef IMAGEFS_FRONT_FRONT_INT_H
#define IMAGEFS_FRONT_FRONT_INT_H

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 314
#endif
#include <fuse_lowlevel.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "domain/tree.h"
#include "front/file.h"
#include "front/front.h"
#include "front/habits.h"
#include "front/texts.h"

struct front {
	struct service *service;
	struct hold *hold;
	struct sessions *sessions;
	struct files *files;
	struct allowances *allowances;
	struct texts *texts;
	struct front_hooks hooks;
	pthread_mutex_t views_lock; /* guards views */
	struct view *views;         /* of all connections that were not closed */
};

/* A connection's account (conn.owner). */
struct view {
	struct front *front;
	struct conn *conn;
	struct view *next;    /* front.views */
	pthread_mutex_t lock; /* guards what follows */
	uint64_t rights_of;   /* service.account_changes when its rights were read, plus 1; 0: never */
	bool is_operator, is_vendor, belongs;
	bool lost;            /* a right, since its kernel was last told to forget */
	struct habits habits;
};

bool view_is_operator(struct view *);

/* The request being carried out: everything a handler needs. Refuses (and has replied) when it answers false. */
struct ask {
	fuse_req_t req;
	struct front *front;
	struct view *view;
	struct who who;
	const char *operation;
	uint64_t node;     /* for the path in .why */
	const char *name;  /* … and the name in it; NULL */
	bool stranger;     /* not of the mount's account: nobody is told of what they are refused */
	struct error err;
};
bool ask_begin(struct ask *, fuse_req_t req, const char *operation, uint64_t node, const char *name);
/* The same for requests that are judged by an open file's owner, whoever sends them. */
bool ask_begin_file(struct ask *, fuse_req_t req, const char *operation, uint64_t node);
/* RELEASE is never refused. False: the mount has lost its rights, and nothing that was written becomes available by this close. */
bool ask_begin_release(struct ask *, fuse_req_t req, uint64_t node);

/* ---- rights.c: a mount's rights are those of its account, as long as the uid that was proved when it was attached belongs to it. */
/* Takes the rights of now. -EACCES with a sentence when there are none any more. */
int view_rights(struct view *, struct who *ret, struct error *err) MUST_USE;

/* Whose rights a request for an open file has: its opener's, less what their account has lost since. */
static inline struct who judged(const struct ask *a, const struct file *f)
{
	struct who w = f->who;
	w.is_operator &= a->who.is_operator;
	w.is_vendor &= a->who.is_vendor;
	return w;
}

/* Answer with an error (code < 0); what is a refusal leaves a sentence in .why. */
void reply_error(struct ask *, int code);
void note_refusal(struct ask *, int code); /* a line in .why for what nobody can be answered */
void reply_done(struct ask *, int code); /* 0: success without anything */
void reply_entry(struct ask *, int code, const struct entry *);
void fill_entry(struct ask *, const struct entry *, struct fuse_entry_param *ret);
void fill_stat(struct ask *, const struct entry *, struct stat *ret);
bool is_generated(const struct entry *); /* its size is not known before its text is made */
void true_size(struct ask *, struct entry *, bool looked_up); /* of what is generated, or ignored when it is written */
double entry_timeout(const struct entry *);

/* A computed file that a program brings along, and what habits call it: many are one node. */
static inline uint64_t brought_node(uint64_t dir, const char *name)
{
	return node_beside(dir, strcmp(name, "owner") == 0 ? SLOT_OWNER : SLOT_REVIEWED);
}
static inline uint64_t brought_key(uint64_t dir, const char *name)
{
	uint64_t sum = 0;
	for (; *name; name++)
		sum = sum * 31 + (unsigned char)*name;
	return node_beside(dir, SLOT_REVIEWED) ^ (sum << 8 & 0xffffff00000000);
}
bool process_is_dying(uint32_t pid); /* killed, and only waits for its requests */

/* tree_restored_file(), for who asks: the first name is one to rsync alone. */
bool restored_file(struct ask *, uint64_t dir, const char *name, uint64_t *ret);
void note_restoring(struct ask *, uint64_t node); /* for who.restores, before an image, or something in it, is changed */

bool front_is_written_elsewhere(struct front *, uint32_t conn, uint64_t disk); /* open for writing in another mount */
bool front_is_written_besides(struct front *, const struct file *);              /* by another open file */

/* .why: what was refused through mounts of this uid, as it was proved at the socket */
void why_text(struct front *, uint32_t uid, struct buf *ret);

/* How a process that closes a file is doing: see killed.c. */
bool process_was_killed(uint32_t pid);

/* To the end of the scope behind a disk's gate: a settling upload keeps writers out, for as long as it takes to store it. */
static inline pthread_rwlock_t *pass_gate(struct disk_gate *gate)
{
	if (pthread_rwlock_tryrdlock(&gate->lock)) {
		session_blocking_begin();
		pthread_rwlock_rdlock(&gate->lock);
		session_blocking_end();
	}
	return &gate->lock;
}
#define WITH_GATE(gate) pthread_rwlock_t *CAT_(held_, __LINE__) \
	__attribute__((cleanup(cleanup_rwunlock_), unused)) = pass_gate(gate)

/* Handlers, by file: ops_name.c, ops_dir.c, ops_file.c, ops_data.c */
#define SOURCES_MAX 16u /* disks that are looked at when a program reads one and writes another */

/* Pin the moment of a running instance for this handle, at its first copy or seek: what a reader that copies sees is one moment. */
int file_pin(struct ask *, struct file *);

/* ops_data.c: a write failed, or what it wrote could not be kept. Answer r; the first sees to it that it is remembered. */
int note_failure(struct ask *, struct file *, int r);
int say_full(struct ask *, int r);

/* `to` was given a size. Where the asking process has another disk open that has that size and no data, this is all there is to copy. */
void copy_of_nothing(struct ask *, struct file *to, uint64_t size);

void op_lookup(fuse_req_t, fuse_ino_t, const char *);
void op_forget(fuse_req_t, fuse_ino_t, uint64_t);
void op_forget_multi(fuse_req_t, size_t, struct fuse_forget_data *);
void op_getattr(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_setattr(fuse_req_t, fuse_ino_t, struct stat *, int, struct fuse_file_info *);
void op_readlink(fuse_req_t, fuse_ino_t);
void op_mkdir(fuse_req_t, fuse_ino_t, const char *, mode_t);
void op_unlink(fuse_req_t, fuse_ino_t, const char *);
void op_rmdir(fuse_req_t, fuse_ino_t, const char *);
void op_symlink(fuse_req_t, const char *, fuse_ino_t, const char *);
void op_rename(fuse_req_t, fuse_ino_t, const char *, fuse_ino_t, const char *, unsigned);
void op_statfs(fuse_req_t, fuse_ino_t);
void op_getxattr(fuse_req_t, fuse_ino_t, const char *, size_t);
void op_setxattr(fuse_req_t, fuse_ino_t, const char *, const char *, size_t, int);
void op_removexattr(fuse_req_t, fuse_ino_t, const char *);
void op_listxattr(fuse_req_t, fuse_ino_t, size_t);
void op_link(fuse_req_t, fuse_ino_t, fuse_ino_t, const char *);
void op_mknod(fuse_req_t, fuse_ino_t, const char *, mode_t, dev_t);
void op_opendir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_readdir(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_readdirplus(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_releasedir(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsyncdir(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void op_open(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_create(fuse_req_t, fuse_ino_t, const char *, mode_t, struct fuse_file_info *);
void op_flush(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_release(fuse_req_t, fuse_ino_t, struct fuse_file_info *);
void op_fsync(fuse_req_t, fuse_ino_t, int, struct fuse_file_info *);
void op_read(fuse_req_t, fuse_ino_t, size_t, off_t, struct fuse_file_info *);
void op_write(fuse_req_t, fuse_ino_t, const char *, size_t, off_t, struct fuse_file_info *);
void op_fallocate(fuse_req_t, fuse_ino_t, int, off_t, off_t, struct fuse_file_info *);
void op_lseek(fuse_req_t, fuse_ino_t, off_t, int, struct fuse_file_info *);
void op_copy_file_range(fuse_req_t, fuse_ino_t, off_t, struct fuse_file_info *, fuse_ino_t, off_t, struct fuse_file_info *,
			size_t, int);
extern const struct fuse_lowlevel_ops front_ops;

#endif
