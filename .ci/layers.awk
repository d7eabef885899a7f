# Reads Cargo.toml and src/**/*.rs for `.ci/layers`, with its tables in the environment, and prints every wrong edge.
# It reads tokens: comments, strings and test-only items are no code; `use` trees, `self`, `super` and aliases are resolved.
# What it cannot see: a method of a type whose file is not named, and what a macro of another crate expands to.

BEGIN {
    n = split(ENVIRON["LEVELS"], rows, "\n")
    for (r = 1; r <= n; r++) {
        w = split(rows[r], word, " ")
        if (w < 2) continue
        if (word[2] != previous) rank++
        previous = word[2]
        for (i = 3; i <= w; i++) {
            level[word[i]] = rank; title[word[i]] = word[2]; mode[word[i]] = word[1]; place[word[i]] = ++places
        }
    }
    n = split(ENVIRON["HOMES"], rows, "\n")
    for (r = 1; r <= n; r++) {
        w = split(rows[r], word, " ")
        for (i = 2; i <= w; i++) { home[word[1]] = 1; at_home[word[1], word[i]] = 1 }
    }
    unsafe_rows = split(ENVIRON["UNSAFE"], unsafe_row, " ")
    # exists: the path of a module -> its file, both below src and without the ending
    for (i = 2; i < ARGC; i++) exists[module_of(ARGV[i])] = name_of(ARGV[i])
}
function name_of(path) { sub(/^src\//, "", path); sub(/\.rs$/, "", path); return path }
function module_of(path) { path = name_of(path); sub(/(^|\/)mod$/, "", path); return path == "lib" ? "" : path }

# The row of the level table that a file belongs to: its own, or that of the file whose folder it is in
function owner(name) {
    while (!(name in level)) if (!sub(/\/[^\/]*$/, "", name)) return ""
    return name
}

FILENAME == "Cargo.toml" {
    if ($0 ~ /^\[/) {
        section = $0
        gsub(/[][ "]/, "", section)
        in_deps = section ~ /(^|\.)dependencies$/
        if (section ~ /(^|\.)dependencies\./) { sub(/.*dependencies\./, "", section); dependency(section) }
    } else if (in_deps && match($0, /^[A-Za-z0-9_-]+/)) dependency(substr($0, 1, RLENGTH))
    next
}
function dependency(name,   crate) {
    crate = name
    gsub(/-/, "_", crate)
    if (!(crate in home)) report("Cargo.toml", FNR, name " has no home: give it a row in .ci/layers")
}

FNR == 1 { finish(); file = FILENAME; files++; tokens = comment = 0; text = "" }
{ lines = FNR; tokenise(code($0)) }
END {
    finish()
    for (i = 1; i <= reports; i++) {
        if (is_test(report_file[i])) continue
        print report_text[i]
        wrong = 1
    }
    if (wrong) exit 1
    printf "%d files, %d edges between them, all pointing down\n", files, edges
    for (name in level) if (!(name in reached)) print "note: the levels name " name ", which is not there"
    for (i = 1; i <= unsafe_rows; i++)
        if (!(i in unsafe_used)) print "note: " unsafe_row[i] " may hold unsafe code and holds none: strike it off"
}

# A file of a test-only module, or of a module inside one
function is_test(path) {
    if (path in test_file) return 1
    while (sub(/\/[^\/]*$/, "", path)) if ((path ".rs") in test_file || (path "/mod.rs") in test_file) return 1
    return 0
}

function report(where, line, what,   message) {
    message = where ":" line ": " what
    if (message in said) return
    said[message] = 1
    report_file[++reports] = where; report_text[reports] = message
}

# What is left of a line without comments, strings and character literals
function code(line,   out, i, c) {
    out = ""
    for (i = 1; i <= length(line); i++) {
        c = substr(line, i, 1)
        if (comment) {
            if (substr(line, i, 2) == "*/") { comment--; i++ }
            else if (substr(line, i, 2) == "/*") { comment++; i++ }
        } else if (text != "") {
            if (c == "\\" && !raw) i++
            else if (substr(line, i, length(text)) == text) { i += length(text) - 1; text = "" }
        } else if (substr(line, i, 2) == "//") {
            break
        } else if (substr(line, i, 2) == "/*") {
            comment = 1; i++
        } else if (c == "\"") {
            text = "\""; raw = 0
        } else if (c ~ /[rbc]/ && out !~ /[A-Za-z0-9_]$/ && match(substr(line, i), /^[bc]?r#*"/)) {
            text = substr(line, i, RLENGTH)
            i += RLENGTH - 1
            gsub(/[^#]/, "", text)
            text = "\"" text; raw = 1
        } else if (c == "'" && match(substr(line, i), /^'(\\(u[{][^}]*[}]|x..|.)|[^'\\]|[\200-\377]+)'/)) {
            i += RLENGTH - 1
        } else out = out c
    }
    return out
}
function tokenise(line) {
    while (match(line, /[A-Za-z0-9_]+|::|[^ \t]/)) {
        token[++tokens] = substr(line, RSTART, RLENGTH); at[tokens] = FNR
        line = substr(line, RSTART + RLENGTH)
    }
}

# A file has been read to its end
function finish(   i) {
    if (file == "") return
    me = name_of(file); part = owner(me); reached[part] = 1
    token[tokens + 1] = token[tokens + 2] = ""
    if (part == "") report(file, 1, "has no place in the levels of .ci/layers")
    if (lines > ENVIRON["MAX_LINES"] + 0) report(file, lines, lines " lines; the bound is " ENVIRON["MAX_LINES"])
    unsafe_by = forbids = 0
    for (i = 1; i <= unsafe_rows; i++)
        if (unsafe_row[i] == me || unsafe_row[i] == part || unsafe_row[i] == substr(me, 1, index(me, "/")) "*") unsafe_by = i
    drop_tests()
    if (!unsafe_by && !forbids && mode[part] != "lists" && me != "lib")
        report(file, 1, "does not forbid unsafe code, and is not in the table of the files that may hold it")
    split("", alias)
    walk(1)
    walk(2)
}

# Blanks the items under #[cfg(test)] and #[cfg(all(test, ..))], and notes the files of `mod x;` among them
function drop_tests(   i, j, depth, attribute, inner, declared, item) {
    for (i = 1; i <= tokens; i++) {
        inner = token[i + 1] == "!"
        if (token[i] != "#" || token[i + 1 + inner] != "[") continue
        attribute = ""
        for (j = i + 2 + inner; j <= tokens && token[j] != "]"; j++) attribute = attribute token[j]
        if (inner && attribute ~ /^forbid\(.*unsafe_code/) forbids = 1
        if (attribute !~ /^(test$|cfg\((all\((.*,)?)?test[,)])/) continue
        if (inner) { test_file[file] = 1; return }
        depth = 0; item = ""
        for (; i <= tokens; i++) {
            if (i > j && item == "") {
                if (token[i] ~ /^(fn|impl|mod|use|struct|enum|const|static|unsafe|type|trait|macro_rules|extern|async)$/) item = token[i]
                if (item == "mod" && token[i + 2] == ";") {
                    declared = module_of(file)
                    declared = "src/" declared (declared == "" ? "" : "/") token[i + 1]
                    test_file[declared ".rs"] = test_file[declared "/mod.rs"] = 1
                }
            }
            if (token[i] ~ /^[{([]$/) depth++
            if (token[i] ~ /^[]})]$/ && --depth < 0) { i--; break }
            # a field or a variant ends with a comma, an item with a brace or a semicolon
            if (i > j && depth == 0 && (token[i] ~ /^[;}]$/ || (token[i] == "," && item == ""))) { token[i] = ""; break }
            token[i] = ""
        }
    }
}

# Pass 1 reads the `use` trees, pass 2 the other paths, which may start with a name from pass 1
function walk(pass,   i, j, depth, path, outer) {
    depth = 0; now = module_of(file)
    for (i = 1; i <= tokens; i++) {
        if (token[i] == "{") depth++
        else if (token[i] == "}") {
            if (depth in outer) { now = outer[depth]; delete outer[depth] }
            depth--
        } else if (token[i] == "mod" && token[i + 2] == "{") {
            outer[depth + 1] = now
            now = now (now == "" ? "" : "/") token[i + 1]
        } else if (token[i] == "unsafe") {
            if (unsafe_by) unsafe_used[unsafe_by] = 1
            else report(file, at[i], "unsafe code in a file that is not in the table of those that may hold it")
        } else if (token[i] == "extern" && token[i + 1] == "crate") {
            edge(token[i + 2], at[i])
        } else if (token[i] == "use" && token[i + 1] != "<") {
            if (pass == 1) use_tree(i + 1)
            while (i < tokens && token[i] != ";") i++
        } else if (token[i] ~ /^[A-Za-z_]/ && token[i + 1] == "::" && !(token[i - 1] == "::" && token[i - 2] ~ /[A-Za-z0-9_>]$/)) {
            path = token[i]
            for (j = i; token[j + 1] == "::" && token[j + 2] ~ /^[A-Za-z0-9_]/; j += 2) path = path "::" token[j + 2]
            # pub(in path) names an ancestor and imports nothing
            if (pass == 2 && !(token[i - 1] == "in" && token[i - 2] == "(" && token[i - 3] == "pub")) edge(absolute(path), at[i])
            i = j
        }
    }
}

function use_tree(i,   depth, path, name, prefix) {
    depth = 0; prefix[0] = path = name = ""
    for (; i <= tokens; i++) {
        if (token[i] == "{") prefix[++depth] = path
        else if (token[i] == "as") name = token[++i]
        else if (token[i] ~ /^[,};]$/) {
            if (path != prefix[depth]) leaf(path, name, at[i])
            if (token[i] == ";") return
            if (token[i] == "}") depth--
            path = prefix[depth]; name = ""
        } else if (token[i] ~ /^([A-Za-z0-9_]+|[*])$/) path = path (path == "" ? "" : "::") token[i]
    }
}
function leaf(path, name, line) {
    path = absolute(path)
    sub(/::self$/, "", path)
    edge(path, line)
    if (name == "") { name = path; sub(/.*::/, "", name) }
    if (name != "*" && name != "_") alias[name] = path
}

# A path as seen from the module `now`, made to start with `crate` or with another crate
function absolute(path,   first, base) {
    first = path
    sub(/::.*/, "", first)
    if (first == "crate") return path
    if (first == "self" || first == "super") {
        base = now
        while (match(path, /^(self|super)(::|$)/)) {
            if (path ~ /^super/ && !sub(/\/[^\/]*$/, "", base)) base = ""
            path = substr(path, RLENGTH + 1)
        }
    } else if (first in alias) {
        return alias[first] substr(path, length(first) + 1)
    } else {
        base = now
        if (!((now (now == "" ? "" : "/") first) in exists)) return path
    }
    gsub(/\//, "::", base)
    return "crate" (base == "" ? "" : "::" base) (path == "" ? "" : "::" path)
}

function edge(path, line,   to, prefix, down) {
    if (path !~ /^crate(::|$)/) {
        for (prefix in home)
            if ((path == prefix || index(path, prefix "::") == 1) && !((prefix, me) in at_home) && !((prefix, part) in at_home))
                report(file, line, me " -> " prefix ": only its home in .ci/layers names it (" path ")")
        return
    }
    to = path
    sub(/^crate(::)?/, "", to); gsub(/::/, "/", to)
    while (to != "" && !(to in exists)) if (!sub(/\/[^\/]*$/, "", to)) to = ""
    to = owner(exists[to])
    if (to == part || to == "" || part == "") return
    if (mode[part] == "lists" || mode[to] == "lists") down = 0
    else if (level[part] == level[to]) down = mode[part] == "order" && place[to] < place[part]
    else down = level[to] < level[part]
    if (!down) report(file, line, part " (" title[part] ") -> " to " (" title[to] ") is not an edge that points down (" path ")")
    if (!((part, to) in counted)) { counted[part, to] = 1; edges++ }
}
