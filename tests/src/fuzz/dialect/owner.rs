//! Plays the session that a dialect is part of.

use base64ct::{Base64, Encoding};
use stockade_tunnel::dialect::{
    About, Destination, Dialect, End, Ends, Fault, Host, MAX_OUTPUT, Progress, Protocol, Stage,
    Unreachable, WINDOW, Wire,
};
use stockade_tunnel::session::Mode;

use super::plan::{BACKEND, CLIENT, Plan, Step};
use super::secured;

/// Most bytes that a dialect says to one end when it is asked once: all that it is shown, and what
/// it adds to that.
const ANSWER_MOST: usize = 2 * WINDOW;
/// Most bytes that it says to one end in all: it passes on a hundred lines of 2 KiB.
const SENT_MOST: usize = 256 * 1024;
/// Most bytes of its last words.
const LAST_WORDS_MOST: usize = 1024;
/// How often it may say something without taking anything: each stage begins with a greeting.
const GREETINGS_MOST: usize = 4;
/// Most bytes of a host name (RFC 1123 §2.1).
const NAME_MOST: usize = 253;
/// Windows full of nonsense that an end sends in a flood: more than any dialect passes over.
const FLOOD: usize = SENT_MOST / WINDOW;
/// Bytes of a password that are not in our own words by chance, if there is a digit among them.
const PASSWORD_LEAST: usize = 8;

/// What has become of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// The dialect is at it.
    Asking,
    /// It is done, and what waits is relayed.
    Relaying,
    /// The backend that it named is not reached.
    Refused(Destination, Unreachable),
    /// It says what is wrong.
    Failed(Fault),
}

/// One end's streams.
#[derive(Default)]
struct Peer {
    waiting: Vec<u8>,
    has_ended: bool,
    taken: usize,
    /// What the peer has read.
    sent: Vec<u8>,
    /// What it has still to read.
    unread: Vec<u8>,
    /// How much had been sent when TLS began.
    in_clear: Option<usize>,
    pauses: bool,
}

impl Peer {
    /// The wire of an end of which so much is shown; of one that isn't there without.
    fn wire(&mut self, end: End, shown: Option<usize>) -> Wire<'_> {
        let has_ended = self.has_ended && shown == Some(self.waiting.len());
        let shown = &self.waiting[..shown.unwrap_or_default()];
        Wire::new(end, shown, has_ended, &mut self.unread)
    }
}

pub struct Owner<'a> {
    plan: &'a Plan,
    dialect: Box<dyn Dialect>,
    pub stage: Stage,
    pub state: State,
    ends: [Peer; 2],
    /// A peer didn't read, so that the dialect was not asked although there was more.
    pub was_held_up: bool,
    /// Behind the last piece that belongs before TLS, its end had more to say.
    pub is_early: bool,
    /// TLS has begun in this piece.
    begins_tls: bool,
    /// It has begun without a go-ahead: what waits is TLS's.
    is_direct: bool,
}

/// What came of asking once.
struct Asked {
    result: Result<Progress, Fault>,
    taken: usize,
    written: usize,
    /// Whether there was more than the dialect was shown.
    has_more: bool,
}

impl<'a> Owner<'a> {
    pub fn new(plan: &'a Plan, dialect: Box<dyn Dialect>) -> Owner<'a> {
        Owner {
            plan,
            dialect,
            stage: Stage::Clear,
            state: State::Asking,
            ends: Default::default(),
            was_held_up: false,
            is_early: false,
            begins_tls: false,
            is_direct: false,
        }
    }

    /// Leads the plan's conversation to its end, its pieces cut to `most` bytes.
    pub fn lead(&mut self, most: usize) {
        self.settle();
        for step in &self.plan.steps {
            match step {
                Step::Said(end, words) => self.say(*end, words, most),
                Step::Ends(end) => self.ends[*end].has_ended = true,
                Step::Pauses(end) => self.ends[*end].pauses ^= true,
            }
            self.settle();
            if self.is_early {
                return;
            }
        }
        for end in &mut self.ends {
            end.pauses = false;
        }
        self.settle();
        self.check_backend();
        self.check_secrets();
    }

    /// Lets the ends talk nonsense for long, unless one of them is gone: the dialect must have come
    /// to an end of its own.
    pub fn flood(&mut self) {
        if self.is_present(BACKEND) && self.ends[BACKEND].has_ended || self.ends[CLIENT].has_ended {
            return;
        }
        let filler = &self.plan.filler;
        let nonsense = filler.repeat(WINDOW.div_ceil(filler.len()));
        for _ in 0..FLOOD {
            for end in [CLIENT, BACKEND] {
                if self.state != State::Asking {
                    return;
                }
                let missing = WINDOW.saturating_sub(self.ends[end].waiting.len());
                self.say(end, &nonsense[..missing], usize::MAX);
            }
        }
        assert_ne!(self.state, State::Asking, "it listens for ever");
    }

    /// The end that TLS is spoken with.
    pub fn secured_end(&self) -> End {
        [End::Client, End::Backend][self.secured()]
    }

    /// What was sent to each end.
    pub fn sent(&self) -> [&[u8]; 2] {
        [&self.ends[CLIENT].sent, &self.ends[BACKEND].sent]
    }

    /// How many bytes of each end the dialect took.
    pub fn taken(&self) -> [usize; 2] {
        [self.ends[CLIENT].taken, self.ends[BACKEND].taken]
    }

    fn secured(&self) -> usize {
        match self.plan.mode {
            Mode::Server => CLIENT,
            Mode::Client => BACKEND,
        }
    }

    fn is_present(&self, end: usize) -> bool {
        end == CLIENT
            || self.plan.mode == Mode::Client
            || self.stage == Stage::Connected
            || self.dialect.dials_first()
    }

    /// An end says something, in pieces of at most so many bytes. One that isn't there yet has said
    /// it once it is.
    fn say(&mut self, end: usize, words: &[u8], most: usize) {
        self.begins_tls = false;
        let mut said = 0;
        for piece in words.chunks(most.min(words.len()).max(1)) {
            self.ends[end].waiting.extend_from_slice(piece);
            self.settle();
            said += piece.len();
            if self.begins_tls && end == self.secured() {
                // The rest of the piece came too early; or it is TLS's, where nothing was said
                // before.
                self.is_early = said < words.len() && !self.is_direct;
                return;
            }
        }
    }

    /// Asks the dialect until it waits with nothing left to do.
    fn settle(&mut self) {
        let mut greetings = 0;
        let mut was_done = false;
        while self.state == State::Asking {
            for end in &mut self.ends {
                if !end.pauses {
                    end.sent.append(&mut end.unread);
                }
            }
            if self.ends.iter().any(|end| end.unread.len() > MAX_OUTPUT) {
                self.was_held_up = true;
                return;
            }
            let asked = self.ask();
            let is_idle = asked.taken == 0 && asked.written == 0;
            match asked.result {
                Ok(Progress::Wait) => {
                    if is_idle {
                        self.check_waiting();
                        break;
                    }
                    assert!(!was_done, "it has not done all that it can");
                    was_done = !asked.has_more;
                    greetings += usize::from(asked.taken == 0);
                    assert!(greetings <= GREETINGS_MOST, "it talks without end");
                }
                Ok(Progress::Next) => {
                    self.next();
                    was_done = false;
                }
                Ok(Progress::Connect(destination)) => {
                    self.connect(destination);
                    was_done = false;
                }
                Err(fault) => self.state = State::Failed(fault),
            }
        }
        for end in &mut self.ends {
            if !end.pauses || self.state != State::Asking {
                end.sent.append(&mut end.unread);
            }
            assert!(end.sent.len() <= SENT_MOST, "it says too much");
        }
    }

    /// Asks once.
    fn ask(&mut self) -> Asked {
        let present = [CLIENT, BACKEND].map(|end| self.is_present(end));
        let unread = [CLIENT, BACKEND].map(|end| self.ends[end].unread.len());
        let shown = [CLIENT, BACKEND]
            .map(|end| present[end].then(|| self.ends[end].waiting.len().min(WINDOW)));
        let (stage, plan) = (self.stage, self.plan);
        let [client, backend] = &mut self.ends;
        let has_more = client.waiting.len() > WINDOW || backend.waiting.len() > WINDOW;
        let mut ends = Ends {
            client: client.wire(End::Client, shown[CLIENT]),
            backend: backend.wire(End::Backend, shown[BACKEND]),
        };
        let tells = plan.tells_tls && stage > Stage::Clear;
        let dialect = &mut self.dialect;
        let result = secured::with(plan.mode, plan.alpn, |tls| {
            let about = About {
                client: plan.client,
                local: plan.local,
                backend: present[BACKEND].then_some(plan.backend),
                tls: tells.then_some(tls),
            };
            dialect.poll(stage, &mut ends, &about)
        });
        let taken = [ends.client.taken(), ends.backend.taken()];
        let mut written = 0;
        for (end, peer) in self.ends.iter_mut().enumerate() {
            assert!(
                taken[end] <= shown[end].unwrap_or_default(),
                "it takes what isn't there"
            );
            peer.waiting.drain(..taken[end]);
            peer.taken += taken[end];
            let answer = peer.unread.len().checked_sub(unread[end]);
            let answer = answer.expect("it only adds");
            assert!(answer == 0 || present[end], "it talks to nobody");
            assert!(answer <= ANSWER_MOST, "it says too much at once");
            written += answer;
        }
        Asked {
            result,
            taken: taken[CLIENT] + taken[BACKEND],
            written,
            has_more,
        }
    }

    /// It is of use to wait: some end has room to say more.
    fn check_waiting(&self) {
        let is_full = |end: &usize| self.ends[*end].waiting.len() >= WINDOW;
        let mut present = [CLIENT, BACKEND]
            .into_iter()
            .filter(|end| self.is_present(*end));
        assert!(!present.all(|end| is_full(&end)), "it waits for nothing");
    }

    /// Whether TLS may begin here without a go-ahead: where nothing was said before; and where a
    /// PostgreSQL client that was refused other encryption begins its first record (RFC 8446 §5.1).
    fn begins_directly(&self) -> bool {
        const HANDSHAKE: u8 = 22;
        let end = &self.ends[self.secured()];
        let answer = [&end.sent[..], &end.unread[..]].concat();
        match self.plan.setup.protocol {
            Protocol::Pgsql if end.waiting.first() == Some(&HANDSHAKE) => !answer.ends_with(b"S"),
            _ => answer.is_empty() && end.taken == 0,
        }
    }

    fn next(&mut self) {
        let names_backend = matches!(
            self.plan.setup.protocol,
            Protocol::Connect | Protocol::Socks
        );
        match self.stage {
            Stage::Clear => {
                for end in &mut self.ends {
                    end.in_clear = Some(end.sent.len() + end.unread.len());
                }
                self.begins_tls = true;
                self.is_direct = self.begins_directly();
                let secured = self.secured();
                let waiting = &mut self.ends[secured].waiting;
                if !self.is_direct {
                    let early = waiting.escape_ascii();
                    assert!(waiting.is_empty(), "early data are left: {early}");
                }
                waiting.clear();
                self.stage = Stage::Secured;
            }
            Stage::Secured if self.plan.mode == Mode::Client => self.state = State::Relaying,
            Stage::Secured => {
                assert!(!names_backend, "no backend is named");
                self.stage = Stage::Connected;
            }
            Stage::Connected => self.state = State::Relaying,
        }
    }

    fn connect(&mut self, destination: Destination) {
        assert_eq!(self.plan.mode, Mode::Server);
        assert_eq!(self.stage, Stage::Secured);
        assert_ne!(destination.port, 0);
        if let Host::Name(name) = &destination.host {
            assert!((1..=NAME_MOST).contains(&name.len()), "{name:?}");
            assert!(name.bytes().all(|byte| byte.is_ascii_graphic()), "{name:?}");
        }
        let Some(why) = self.plan.unreachable else {
            self.stage = Stage::Connected;
            return;
        };
        let client = &mut self.ends[CLIENT];
        let before = client.unread.len();
        let shown = client.waiting.len().min(WINDOW);
        let mut wire = client.wire(End::Client, Some(shown));
        self.dialect.unreachable(&mut wire, why);
        let last_words = client.unread.len() - before;
        assert!(last_words <= LAST_WORDS_MOST, "long last words");
        self.state = State::Refused(destination, why);
    }

    /// In server mode the backend hears what the dialect says, and nothing of what clients say.
    fn check_backend(&self) {
        let allowed: &[&[u8]] = match (self.plan.mode, self.plan.setup.protocol) {
            (Mode::Client, _) | (_, Protocol::Proxy | Protocol::Proxy2) => return,
            (_, Protocol::Smtp | Protocol::Pop3) => &[b"", b"QUIT\r\n"],
            (_, Protocol::Imap) => &[b"", b"stockade LOGOUT\r\n"],
            _ => &[b""],
        };
        let sent = &self.ends[BACKEND].sent[..];
        let shown = sent.escape_ascii();
        assert!(allowed.contains(&sent), "the backend hears {shown}");
    }

    /// No password is where it must not be, unless somebody else has said it as well.
    fn check_secrets(&self) {
        let setup = &self.plan.setup;
        let Some(password) = setup.password.as_ref().map(|password| password.as_str()) else {
            return;
        };
        let is_like_none_of_ours = password.len() >= PASSWORD_LEAST
            && password.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && password.bytes().any(|byte| byte.is_ascii_digit());
        if !is_like_none_of_ours {
            return;
        }
        let user = setup.username.as_deref().unwrap_or_default();
        let forms = [
            password.to_owned(),
            Base64::encode_string(password.as_bytes()),
            Base64::encode_string(format!("{user}:{password}").as_bytes()),
            Base64::encode_string(format!("\0{user}\0{password}").as_bytes()),
            Base64::encode_string(format!("{user}\0{user}\0{password}").as_bytes()),
        ];
        let has = |text: &[u8]| {
            let is_in = |form: &String| text.windows(form.len()).any(|at| at == form.as_bytes());
            forms.iter().any(is_in)
        };
        let options = [setup.host.as_ref(), setup.username.as_ref()];
        let options = options.into_iter().flatten().chain(&setup.headers);
        let words: Vec<u8> = self.plan.pieces().flatten().copied().collect();
        // An error escapes what it shows, which makes other words of it.
        let escaped = words.escape_ascii().to_string();
        let others = [&words[..], escaped.as_bytes()];
        let others = others
            .into_iter()
            .chain(options.map(|option| option.as_bytes()));
        if others.into_iter().any(has) {
            return;
        }
        if let State::Failed(fault) = &self.state {
            assert!(!has(fault.to_string().as_bytes()), "an error tells it");
        }
        assert!(!has(&self.ends[CLIENT].sent), "the client is told it");
        let backend = &self.ends[BACKEND];
        let told = match (self.plan.mode, setup.protocol) {
            (Mode::Client, Protocol::Connect) => 0,
            (Mode::Client, _) => backend.in_clear.unwrap_or(backend.sent.len()),
            (Mode::Server, _) => backend.sent.len(),
        };
        assert!(!has(&backend.sent[..told]), "it is sent in the clear");
    }
}
