/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/facts.h"

#include <stdio.h>
#include <string.h>

#include "cli/inside.h"
#include "tap.h"

static void json_is(const char *lines, const char *want, const char *what)
{
	AUTO_BUF struct buf b = BUF_INIT;
	facts_json(lines, &b);
	is_str(b.data, want, "%s", what);
}

static void test_json(void)
{
	json_is("", "{\n}\n", "nothing");
	json_is("state: available\nvirtual: 1024\n", "{\n  \"state\": \"available\",\n  \"virtual\": 1024\n}\n",
		"a text and a number");
	json_is("description: 12\nvirtual: 1 MiB\nstored: 007\n",
		"{\n  \"description\": \"12\",\n  \"virtual\": \"1 MiB\",\n  \"stored\": \"007\"\n}\n",
		"the key decides about the type, and no invalid number is made");
	json_is("use: alias a\nid: img-1\nuse: instance b\n",
		"{\n  \"use\": [\"alias a\", \"instance b\"],\n  \"id\": \"img-1\"\n}\n", "a repeated key is one list");
	json_is("use: alias a\n", "{\n  \"use\": [\"alias a\"]\n}\n", "also when it came once");
	json_is("reason: it said \"no\": \\\n", "{\n  \"reason\": \"it said \\\"no\\\": \\\\\"\n}\n", "quoting");
	json_is("empty:\nno colon\n: no key\nlast: x", "{\n  \"empty\": \"\",\n  \"last\": \"x\"\n}\n", "odd lines");
	json_is("mount: uid=0 account=root allow-other=no dir=/a b=c\n",
		"{\n  \"mount\": [{\"uid\": 0, \"account\": \"root\", \"allow-other\": \"no\", \"dir\": \"/a b=c\"}]\n}\n",
		"mounts are objects");
}

static void test_get(void)
{
	char text[8] = "before";
	ok(facts_get("a: 1\nb: two\n", "b", text, sizeof text), "a key that is there");
	is_str(text, "two", "has its value");
	ok(!facts_get("ab: 1\n", "a", text, sizeof text), "a key that only begins like it is another");
	is_str(text, "two", "and nothing is changed");
	ok(facts_get("a: 0123456789\n", "a", text, sizeof text), "a long value");
	is_str(text, "0123456", "is cut");
}

static void test_add(void)
{
	AUTO_BUF struct buf b = BUF_INIT;
	facts_add(&b, "why", "%s", "one\ntwo");
	is_str(b.data, "why: one two\n", "a value cannot make a second line");
}

static void test_why(void)
{
	const char *line = "2026-11-20T08:15:30Z\t17\tunlink\ta/b\tEPERM\tIt is protected.\nnext";
	unsigned len;
	const char *at = why_field(line, WHY_PID, &len);
	ok(len == 2 && memcmp(at, "17", 2) == 0, "a field of .why");
	at = why_field(line, WHY_SENTENCE, &len);
	ok(len == 16 && memcmp(at, "It is protected.", 16) == 0, "the last one ends with the line");
	why_field("a\tb\nc\td\te\tf\tg\n", WHY_SENTENCE, &len);
	is_int(len, 0, "a short line has no sentence, and the next line is not taken for it");
}

/* Whatever the lines are, what comes out is well formed: quotes are even, braces match. */
static void test_random_lines(void)
{
	static const char alphabet[] = "use: mount=dir\n\"\\\t12{}[]virtual";
	uint64_t state = test_seed();
	bool good = true;
	for (int i = 0; i < 3000; i++) {
		char lines[60];
		unsigned n = (unsigned)(test_random(&state) % (sizeof lines - 1)), quotes = 0;
		AUTO_BUF struct buf b = BUF_INIT;
		for (unsigned k = 0; k < n; k++)
			lines[k] = alphabet[test_random(&state) % (sizeof alphabet - 1)];
		lines[n] = 0;
		facts_json(lines, &b);
		for (const char *p = b.data; *p; p++) {
			if (*p == '\\')
				p++;
			else
				quotes += *p == '"';
		}
		good = good && quotes % 2 == 0 && b.len > 3 && strcmp(b.data + b.len - 3, "\n}\n") == 0;
	}
	ok(good, "any lines give an object");
}

int main(void)
{
	test_json();
	test_get();
	test_add();
	test_why();
	test_random_lines();
	return done_testing();
}
