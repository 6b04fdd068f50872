# What a script does to a text: words counted, numbers summed, lines turned round, a report. No module is needed.
my (%count, %length, $total, @long);
open my $file, '<', $ARGV[0] or die "$ARGV[0]: $!";
while (my $line = <$file>) {
    chomp $line;
    for my $word (split / /, $line) {
        if ($word =~ /^\d+$/) { $total += $word; next }
        $count{$word}++;
        $length{length $word} .= substr $word, 0, 1;
        (my $vowels = $word) =~ tr/aeiou//cd;
        $count{"vowels $vowels"}++ if $word =~ /^(?:ba|tro|the)(.*)(?:ing|shu)$/;
    }
    push @long, scalar reverse $line if length $line > 60;
    $line =~ s/([a-z]+)ing\b/sprintf '%s-%03d', uc $1, length $1/ge;
    $total += length $line;
}
my @words = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
printf "%-16s %5d\n", $_, $count{$_} for @words;
printf "%d %d %d\n", $_, length $length{$_}, unpack '%32C*', $length{$_} for sort { $a <=> $b } keys %length;
print join("\n", sort @long), "\n$total\n";
