-- Jobs ended. ARGV: jobs.
for at = 3, #ARGV do finish(ARGV[at]) end
return {'ended'}
