# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# upgrade-lib.sh: what is to be seen of a store, line by line, for tests that compare what an older version wrote with what
# this one reads. Sourced after people-lib.sh; alice, bob, carol and dave have it mounted. t/data/make-store-1 wrote the lines of
# t/data/store-1.facts with it. Only what no version may change is in them: names, bytes, settings, who has what.

# contents USER DIR LABEL: the files of an image, and what .status has that stays
contents() {
	local user=$1 dir=$2 label=$3 name
	"$user" ls -A "$dir" | while read -r name; do
		if "$user" test -L "$dir/$name"; then
			echo "$label/$name -> $("$user" readlink "$dir/$name")"
		else
			echo "$label/$name $(sum_as "$user" "$dir/$name" 2>&1 | sed 's|.*/||')"
		fi
	done
	"$user" grep -E '^(id|state|virtual|sha256|created|owner|os|arch|shared-with|price|license|trashed): ' "$dir/.status" | sed "s|^|$label |"
	local times=%Y
	[[ $label != *instances/* ]] || times='' # they follow its bytes, those of the overlay too, which format 1 did not know
	echo "$label mode $("$user" stat -c %a "$dir") disk of $("$user" stat -c "%i $times" "$dir/disk" 2>&1 | sed 's/.*: //')"
}

# entries USER FOLDER LABEL: images, instances, aliases, links
entries() {
	local user=$1 folder=$2 label=$3 name
	"$user" ls -A "$folder" | while read -r name; do
		if "$user" test -L "$folder/$name"; then
			echo "$label/$name -> $("$user" readlink "$folder/$name")"
		elif [[ $name != .* ]]; then
			contents "$user" "$folder/$name" "$label/$name"
		fi
	done
}

# view USER: of one account
view() {
	local user=$1 mount region type
	mount=$(mount_of "$user")
	for region in $("$user" ls "$mount" | grep -vx accounts); do
		for type in public marketplace custom shared instances; do
			entries "$user" "$mount/$region/$type" "$user $region/$type"
			! "$user" test -d "$mount/$region/.trash/$type" || entries "$user" "$mount/$region/.trash/$type" "$user $region/.trash/$type"
		done
		"$user" sed "s|^|$user $region policy |" "$mount/$region/.policy" | grep -E ' (images-per-region|shares-per-image|dedup|currency|trash-days) '
		"$user" sed "s|^|$user $region region |" "$mount/$region/.region" | grep -E ' (mainland|copy|types|zones|storage-price|free-storage|windows-fee|instance-price) '
	done
	"$user" ls "$mount/.bills" | while read -r bill; do
		"$user" sed "s|^|$user $bill |" "$mount/.bills/$bill"
	done
	"$user" sed "s|^|$user log |" "$mount/.log"
}

# store_facts: of all, and what operators see of accounts
store_facts() {
	local name
	for name in alice bob carol dave; do
		view "$name"
	done
	for name in bob carol dave; do
		alice sed "s|^|account $name |" "$(mount_of alice)/accounts/$name/.account"
		alice sed "s|^|account $name policy |" "$(mount_of alice)/accounts/$name/.policy" | grep -E ' (images-per-region|dedup|operations-per-day) '
	done
}
