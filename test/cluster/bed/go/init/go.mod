module chainmail.dev/test/init

go 1.24
