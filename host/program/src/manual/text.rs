//! What the manual page says besides the options.

pub(super) const DESCRIPTION: &str = "\
stockade boots one image under QEMU, and the image carries connections into and out of TLS. There is \
no other operating system in it, no file system and no second process beside the key.

stockade run starts it and stays in the foreground. It gives the image a network, publishes its \
services on this host, starts another machine when one ends unasked, and ends in order when it is \
asked to. QEMU never outlives it. stockade stunnel does the same as stunnel(8) would: its words, its log, \
its signals, its daemon; so does a link to this program that is called stunnel. stockade proxy carries what \
programs say in the clear to one server, over a UNIX socket most often, and stockade socat or a link called \
socat does that with socat(1)'s words. stockade keygen, add, remove and list look after a certificate store: a \
Git repository with a file for each host that an image serves by name; a link to this program that is called \
contruno.add is stockade add with contruno's words. The other commands speak to one that runs, over a UNIX \
socket that only its user and root may use.

Configuration, certificates and keys are handed over in memory: they are neither on a command line \
nor on disk a second time.";

pub(super) const IMAGE_WORDS: &str = "\
What stands after -- is the image's own command line. It refuses to start when anything in it is \
wrong, and then every error is told. On the rootless network, addresses, gateway and name server are \
given without being asked for.

A file that a word names as file:NAME is read from this host, at the start and at each reload, and \
handed over in memory, as is every file of the folder in --hosts=file:DIR. Secrets are best given so: \
what stands on this command line itself is told by ps(1).";

/// Sections of names with their meanings.
pub(super) const TABLES: [(&str, &[(&str, &str)]); 4] = [
    (
        "FILES",
        &[
            (
                "NAME.sock",
                "The control socket of the run of this name: in $RUNTIME_DIRECTORY if that is set, in \
                 /run/stockade for root, in $XDG_RUNTIME_DIR/stockade for others, else in a directory of \
                 the user's own among the temporary files.",
            ),
            (
                "development/{ca,cert,key}.pem",
                "The development certificate for localhost, its authority and its key, made when neither \
                 --conf nor --cert is given: in $STATE_DIRECTORY if that is set, in /var/lib/stockade for \
                 root, else in $XDG_STATE_HOME/stockade or ~/.local/state/stockade. The authority's own \
                 key is thrown away.",
            ),
            (
                "/etc/stockade/NAME.conf",
                "What the service stockade@NAME serves.",
            ),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "NOTIFY_SOCKET",
                "Where to tell the service manager that the image serves, reloads or stops (sd_notify(3)).",
            ),
            (
                "RUNTIME_DIRECTORY, XDG_RUNTIME_DIR",
                "Where control sockets are; see FILES.",
            ),
            (
                "DEST_HOST, DEST_PORT, DEST_CN, CAFILE, CLIENT_CERT, CLIENT_KEY",
                "For stockade proxy, where --connect, --commonname, --cafile, --cert and --key are not given. \
                 Empty ones are as good as none.",
            ),
            (
                "SSL_CERT_FILE",
                "The authorities that stockade proxy trusts where nothing names others, instead of this \
                 system's.",
            ),
            (
                "STATE_DIRECTORY, XDG_STATE_HOME, HOME",
                "Where the development certificate is; see FILES.",
            ),
            (
                "STOCKADE_OPTIONS",
                "Options of stockade run, separated by blanks, for stockade stunnel and the links with \
                 stunnel's name, whose command line is stunnel's; those of stockade proxy about its machine, \
                 --exit-code and --drain for stockade socat and the link called socat; and those of stockade add \
                 that contruno has none for, such as --legacy, for the link called contruno.add.",
            ),
            (
                "GIT_SSH_COMMAND, GIT_SSH, GIT_AUTHOR_NAME, GIT_AUTHOR_EMAIL",
                "For stockade add, remove and list as for git(1): what is run instead of ssh(1), and who \
                 makes commits.",
            ),
            (
                "PATH",
                "Where qemu-system-x86_64, setpriv, openssl and ip are looked for, and ssh and git for certificate stores.",
            ),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "Stop in order: no new connection is taken, and open ones have as long as --drain says. \
                 A second one resets them at once, a third one ends the process.",
            ),
            (
                "SIGHUP",
                "Read the configuration and its files again. From a terminal that goes away: stop.",
            ),
            (
                "SIGUSR1",
                "Open the log file again, after logrotate(8) has moved it.",
            ),
            (
                "SIGUSR2",
                "Under stunnel's name: log how many connections each service has. There, SIGTERM, SIGINT and \
                 SIGQUIT end open connections at once, as stunnel does.",
            ),
            (
                "SIGTERM, SIGINT, SIGQUIT, to stockade proxy",
                "End, with the status that --exit-code says. Under socat's name open connections end at once.",
            ),
        ],
    ),
    (
        "EXIT STATUS",
        &[
            ("0", "It was done. For status: the image serves."),
            (
                "1",
                "Something was refused, missing or failed; standard error says what, where and what to do.",
            ),
            ("2", "The options or the image's words are wrong."),
            (
                "3",
                "For status, stop, reload and diagnose: nothing of that name runs.",
            ),
            ("4", "For status: it runs, and does not serve (yet)."),
            (
                "5",
                "For add, remove and contruno.add: the store is changed, and the image at --target could not be \
                 told, or could not read it.",
            ),
            ("130", "A third SIGINT or SIGTERM."),
        ],
    ),
];

/// What to do, and the line that does it.
pub(super) const EXAMPLES: [(&str, &str); 15] = [
    (
        "Try it out, with a development certificate and a small HTTP server behind it:",
        "stockade run",
    ),
    (
        "Serve a certificate of one's own on all addresses, in front of port 8080 of this host:",
        "stockade run --cert chain.pem --key key.pem --publish 0.0.0.0:443:443 -- --connect=8080",
    ),
    (
        "Serve several hosts by name, each file NAME.pem with its chain and key, in front of port 8080:",
        "stockade check --hosts /etc/stockade/hosts && stockade run --hosts /etc/stockade/hosts -- --connect=8080",
    ),
    (
        "Serve a web application that is to know who asks (X-Forwarded-For), and have browsers keep to HTTPS:",
        "stockade run --cert chain.pem --key key.pem -- --connect=8080 --mode=http --hsts=31536000",
    ),
    (
        "Serve the hosts of a Git repository by name, and have their certificates renewed, for trial:",
        "stockade run -- --remote=git@10.0.2.2:certificates.git#master --ssh-key=file:key.txt \
         --ssh-host-key=file:host-key.txt --pass=file:pass.txt --email=admin@example.org",
    ),
    (
        "See what becomes of a stunnel configuration, then serve it:",
        "stockade check --conf /etc/stunnel/off.conf && stockade run --conf /etc/stunnel/off.conf",
    ),
    (
        "Let what calls stunnel find this program instead:",
        "ln -s $(command -v stockade) /usr/local/bin/stunnel",
    ),
    (
        "Let programs of the group www-data reach a database over TLS, by a socket:",
        "stockade proxy --listen unix:/run/db.sock,mode=0660,group=www-data --connect db.example:3306 --cafile ca.pem",
    ),
    (
        "Serve on a UNIX socket that the group www-data may use:",
        "stockade run --publish unix:/run/web.sock,mode=0660,group=www-data:443 -- --connect=backend.example:80",
    ),
    (
        "Give the image an address of its own on a bridge:",
        "stockade run --net bridge=br0 -- --ipv4=10.0.0.2/24 --ipv4-gateway=10.0.0.1",
    ),
    (
        "Make the key by which an image gets at its certificate store:",
        "(umask 077; stockade keygen > key.txt)",
    ),
    (
        "Have an image serve a further host, with a certificate that it gets by itself:",
        "stockade add --hostname www.example.org --ip 10.0.0.3:8080 -r git@10.0.0.1:certificates.git#main --pass file:pass.txt --target 10.0.0.2",
    ),
    (
        "Take renewed certificates without losing a connection:",
        "stockade reload --name off",
    ),
    (
        "Ask for everything that has happened since the last look, for a program:",
        "stockade diagnose --name off --json --since 1200",
    ),
    (
        "Run /etc/stockade/off.conf as a service:",
        "systemctl enable --now stockade@off",
    ),
];
