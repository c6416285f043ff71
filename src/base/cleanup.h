/* SPDX-License-Identifier: Apache-2.0 */
/* cleanup: locals that release themselves when their scope ends, and steal() to give them away. */
#ifndef IMAGEFS_BASE_CLEANUP_H
#define IMAGEFS_BASE_CLEANUP_H

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free_(void *p) { free(*(void **)p); }
static inline void cleanup_fd_(int *fd) { if (*fd >= 0) close(*fd); }
static inline void cleanup_file_(FILE **f) { if (*f) fclose(*f); }
static inline void cleanup_unlock_(pthread_mutex_t **m) { if (*m) pthread_mutex_unlock(*m); }
static inline void cleanup_rwunlock_(pthread_rwlock_t **l) { if (*l) pthread_rwlock_unlock(*l); }

#define AUTO_FREE __attribute__((cleanup(cleanup_free_)))
#define AUTO_FD __attribute__((cleanup(cleanup_fd_)))
#define AUTO_FILE __attribute__((cleanup(cleanup_file_)))

static inline pthread_mutex_t *lock_(pthread_mutex_t *m) { pthread_mutex_lock(m); return m; }
static inline pthread_rwlock_t *rdlock_(pthread_rwlock_t *l) { pthread_rwlock_rdlock(l); return l; }
static inline pthread_rwlock_t *wrlock_(pthread_rwlock_t *l) { pthread_rwlock_wrlock(l); return l; }
#define CAT2_(a, b) a##b
#define CAT_(a, b) CAT2_(a, b)
/* Hold a lock to the end of the enclosing scope. */
#define WITH_LOCK(m) pthread_mutex_t *CAT_(held_, __LINE__) \
	__attribute__((cleanup(cleanup_unlock_), unused)) = lock_(m)
#define WITH_RDLOCK(l) pthread_rwlock_t *CAT_(held_, __LINE__) \
	__attribute__((cleanup(cleanup_rwunlock_), unused)) = rdlock_(l)
#define WITH_WRLOCK(l) pthread_rwlock_t *CAT_(held_, __LINE__) \
	__attribute__((cleanup(cleanup_rwunlock_), unused)) = wrlock_(l)

static inline int steal_fd(int *fd) { int r = *fd; *fd = -1; return r; }
#define steal(pp) ({ __typeof__(*(pp)) stolen_ = *(pp); *(pp) = NULL; stolen_; })

#endif
