/* SPDX-License-Identifier: Apache-2.0 */
/* upload_empty: a file that was closed, and nothing was written to it. */
#include <stdio.h>

#include "domain/act.h"
#include "domain/upload_int.h"

static int log_empty(struct cat_txn *txn, struct act *a, struct error *err)
{
	struct tree_disk d;
	int r = upload_rows(txn, a->node, &d, err);
	if (r)
		return r;
	act_path_image(a, txn, &d.image);
	a->outcome = -EINVAL;
	snprintf(a->detail, sizeof a->detail, UPLOAD_IS_EMPTY);
	return 0;
}

int upload_check_empty(struct service *s, const struct who *w, uint64_t disk_node, struct error *err)
{
	struct who closer = *w;
	struct tree_disk d;
	struct entry e;
	struct act a = { .service = s, .who = &closer, .operation = "import", .fn = log_empty, .node = disk_node };
	closer.conn = 0;
	closer.resent = false;
	if (tree_disk(s, w, disk_node, &d, NULL) || !d.is_main || d.image.state != STATE_PENDING || tree_attr(s, w, disk_node, &e, NULL) || e.size)
		return 0;
	int r = act_run(&a, err);
	return r == -ESTALE ? 0 : r ? r : fail(err, -EINVAL, UPLOAD_IS_EMPTY);
}
