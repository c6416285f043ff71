/* SPDX-License-Identifier: Apache-2.0 */
/* renamer COUNT A B: renames A to B and back, so many times in all. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	long count = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
	for (long i = 0; i < count; i++)
		if (rename(argv[i % 2 ? 3 : 2], argv[i % 2 ? 2 : 3])) {
			perror("renamer");
			return 1;
		}
	return 0;
}
