#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# spoil-catalog.pl FILE values|pages TEXT: damages the pages of an LMDB file (pages of 4096 bytes, a leaf has bit 2 of its flags set) that
# hold TEXT in a value of a key of four bytes: `values` makes noise of each value, `pages` of all that is behind the page's header.
# Says how many pages there were.
use strict;
use warnings;

my ($file, $how, $text) = @ARGV;
open my $fh, '+<:raw', $file or die "$file: $!\n";
my $all = do { local $/; <$fh> };
my $pages = 0;
srand 1;
sub noise { my $n = shift; return join '', map { chr(128 + int rand 128) } 1 .. $n; }

for (my $at = 2 * 4096; $at + 4096 <= length $all; $at += 4096) {
	my ($flags, $lower) = unpack 'x10 v v', substr $all, $at, 16;
	next unless ($flags & 2) && $lower >= 18 && $lower <= 4096;
	my @nodes = unpack 'v*', substr $all, $at + 16, $lower - 16;
	my $found = 0;
	my @values;
	for my $node (@nodes) {
		next if $node > 4080;
		my ($lo, $hi, $bits, $key) = unpack 'v4', substr $all, $at + $node, 8;
		my $size = $lo | $hi << 16;
		next if $key != 4 || $bits || $node + 8 + $key + $size > 4096;
		push @values, [$at + $node + 8 + $key, $size];
		$found ||= index(substr($all, $at + $node + 8 + $key, $size), $text) >= 0;
	}
	next unless $found;
	$pages++;
	if ($how eq 'pages') { substr($all, $at + 16, 4080) = noise(4080); }
	else { substr($all, $_->[0], $_->[1]) = noise($_->[1]) for @values; }
}
seek $fh, 0, 0;
print $fh $all;
close $fh or die "$file: $!\n";
print "$pages\n";
