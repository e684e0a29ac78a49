//! The library's way in: statements with typed parameters, and rows that are pulled.
//!
//! The engine's rows borrow the snapshot, the plan and the session they come from. A thread of their own holds all
//! of that for as long as somebody wants rows; it hands over one batch at a time and makes the next only when one
//! was taken, so a query holds no more rows than its operators do.

use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread::JoinHandle;

use super::{Cancel, Database, Import, Outcome, Output, Params, Session};
use crate::error::{Diagnostic, Error, Result, Source};
use crate::lang::parse;
use crate::lang::syntax::{Statement, StatementKind};
use crate::model::table::{Batch, Schema};

/// Name of a query's text in messages.
const NAME: &str = "<query>";

/// The rows of a query, batch by batch. It holds a lease on the generation it reads until the last batch is taken or
/// it is dropped, which stops the query.
///
/// An error ends the rows: whoever has seen `None` after batches only has seen them all.
#[derive(Debug)]
pub struct Rows {
    schema: Schema,
    /// `None` once the query is over.
    messages: Option<Receiver<Message>>,
    worker: Option<JoinHandle<()>>,
    cancel: Cancel,
    outcome: Option<Outcome>,
}

#[derive(Debug)]
enum Message {
    Begin(Schema),
    Batch(Batch),
    End(Result<Outcome>),
}

impl Database {
    /// Runs statements and streams the rows of the last one; those before it may have no rows (`LET`, `SET`,
    /// imports). Parameters are values of `$name` and never become text; a `LET` of the same name does not change
    /// them. A mistake is told here, before the first row, wherever the text or the tables tell it.
    ///
    /// ```
    /// # fn main() -> starquake::Result<()> {
    /// # let directory = tempfile::tempdir().expect("a directory");
    /// # let path = directory.path().join("sky.sqk");
    /// # std::fs::write(directory.path().join("m.csv"), "id,ra,dec,mag\n1,10.68,41.27,3.4\n2,23.46,30.66,5.7\n")
    /// #     .expect("a file");
    /// use starquake::arrow::array::{cast::AsArray, types::Int64Type};
    /// use starquake::{Database, Import, Options, Value};
    ///
    /// let db = Database::create(&path, Options::default())?;
    /// db.import(&Import::catalog(directory.path().join("m.csv")).into_name("messier").key("id"))?;
    /// let here = Value::Sky { ra_deg: 10.7, dec_deg: 41.3 };
    /// let params = starquake::Params::new().with("here", here).with("r", Value::quantity(1.0, "deg"));
    /// let mut ids: Vec<i64> = vec![];
    /// for batch in db.query("SELECT id FROM messier WHERE DISTANCE(pos, $here) < $r", params)? {
    ///     ids.extend(batch?.column(0).as_primitive::<Int64Type>().values());
    /// }
    /// assert_eq!(ids, [1]);
    /// let mistake = db.query("SELECT di FROM messier", ()).err().expect("an error");
    /// assert_eq!(mistake.position(), Some(("<query>", 1, 8)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// A text that does not parse, a refusal with its place, a damaged database, [`Error::Interrupted`].
    pub fn query(&self, text: &str, params: impl Into<Params>) -> Result<Rows> {
        let statements = parse::script(NAME, text)?;
        let source = Source { name: NAME.to_owned(), text: text.to_owned() };
        let Some((_, before)) = statements.split_last() else {
            return Err(Error::refused("the query is empty", "SHOW TABLES lists what can be queried"));
        };
        if let Some(early) = before.iter().find(|s| has_rows(&s.kind)) {
            let mut error = Diagnostic::new("only the last statement may have rows", early.span)
                .help("run it on its own, or LET name = (query)");
            error.source = Some(source);
            return Err(error.into());
        }
        let session = params.into().session()?;
        Rows::start(self.clone(), session, statements, source)
    }

    /// Runs statements that have no rows: imports, `REFRESH`, `COPY`, `DROP TABLE`, `COMPACT`.
    ///
    /// # Errors
    /// As [`Database::query`]; a statement that has rows.
    pub fn execute(&self, text: &str, params: impl Into<Params>) -> Result<Outcome> {
        let statements = parse::script(NAME, text)?;
        let source = Source { name: NAME.to_owned(), text: text.to_owned() };
        self.run_all(&statements, &source, params.into().session()?)
    }

    /// Imports what `import` says.
    ///
    /// # Errors
    /// A refusal, a file that cannot be read at all, another writer, I/O. Files that are read in part are counted
    /// in [`Outcome::unreadable`].
    pub fn import(&self, import: &Import) -> Result<Outcome> {
        let (statement, source) = import.statement()?;
        self.run_all(&[statement], &source, Session::default())
    }

    /// Reads what has changed in the waveform archives since the last time: of one source, or of all.
    ///
    /// # Errors
    /// There is no such source, its root is gone (`execute("REFRESH FULL name", ())` says that it is meant), another
    /// writer, I/O.
    pub fn refresh(&self, name: Option<&str>) -> Result<Outcome> {
        let name = name.map(super::builder::ident);
        let kind = StatementKind::Refresh { full: false, name };
        let text = kind.to_string();
        let span = crate::error::Span::new(0, text.len());
        let source = Source { name: "<refresh>".to_owned(), text };
        self.run_all(&[Statement { kind, span }], &source, Session::default())
    }

    fn run_all(&self, statements: &[Statement], source: &Source, mut session: Session) -> Result<Outcome> {
        let mut whole = Outcome::default();
        for statement in statements {
            let how = (&mut NoRows as &mut dyn Output, &*self.progress as &dyn crate::progress::Progress);
            whole = whole.and(self.run(&mut session, statement, source, how)?);
        }
        Ok(whole)
    }
}

/// Refuses rows.
struct NoRows;

impl Output for NoRows {
    fn begin(&mut self, _: &Schema) -> Result<()> {
        Err(Error::refused("this statement has rows", "run it with Database::query"))
    }

    fn batch(&mut self, _: &Batch) -> Result<()> {
        Ok(())
    }
}

fn has_rows(kind: &StatementKind) -> bool {
    use StatementKind::{Describe, Explain, Query, Show};
    matches!(kind, Query(_) | Show(_) | Describe(_) | Explain { .. })
}

/// Hands rows over to whoever pulls them.
struct Handover {
    messages: SyncSender<Message>,
    has_begun: bool,
}

impl Handover {
    fn send(&self, message: Message) -> Result<()> {
        // Nobody wants the rows any more.
        self.messages.send(message).map_err(|_| Error::Interrupted)
    }
}

impl Output for Handover {
    fn begin(&mut self, schema: &Schema) -> Result<()> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Err(Error::refused(
                "only one statement may have rows",
                "an INCLUDE brought in several: run its queries one by one",
            ));
        }
        self.send(Message::Begin(schema.clone()))
    }

    fn batch(&mut self, batch: &Batch) -> Result<()> {
        self.send(Message::Batch(batch.clone()))
    }
}

impl Rows {
    fn start(
        database: Database,
        mut session: Session,
        statements: Vec<Statement>,
        source: Source,
    ) -> Result<Rows> {
        let cancel = database.cancel.narrower();
        let database = Database { cancel: cancel.clone(), ..database };
        let (sender, messages) = mpsc::sync_channel(0);
        let work = move || {
            let mut output = Handover { messages: sender, has_begun: false };
            let progress = database.progress.clone();
            let mut whole = Ok(Outcome::default());
            for statement in &statements {
                let how = (&mut output as &mut dyn Output, &*progress as &dyn crate::progress::Progress);
                let next = database.run(&mut session, statement, &source, how);
                whole = whole.and_then(|whole| Ok(whole.and(next?)));
                if whole.is_err() {
                    break;
                }
            }
            let _ = output.send(Message::End(whole));
        };
        let worker = std::thread::Builder::new().name("starquake".to_owned()).spawn(work);
        let worker = worker.map_err(|e| {
            Error::refused(format!("cannot start the thread of a query: {e}"), "drop queries that are open")
        })?;
        let mut rows = Rows {
            schema: Schema::default(),
            messages: Some(messages),
            worker: Some(worker),
            cancel,
            outcome: None,
        };
        match rows.receive() {
            Some(Message::Begin(schema)) => rows.schema = schema,
            Some(Message::End(outcome)) => rows.outcome = Some(outcome?),
            // Rows without a beginning: there are none.
            Some(Message::Batch(_)) | None => {}
        }
        Ok(rows)
    }

    /// The columns: names, types, units. They are those of an answer without rows too, and none for a statement
    /// that has no rows.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// What was said beside the rows, once the last of them was taken.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The token that stops this query.
    pub fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// All rows that are left, as one batch.
    ///
    /// # Errors
    /// Whatever ends the rows early; text of more than 2 GiB in one column.
    pub fn into_batch(mut self) -> Result<Batch> {
        let batches = self.by_ref().collect::<Result<Vec<Batch>>>()?;
        arrow_select::concat::concat_batches(&self.schema.arrow(), &batches).map_err(|e| Error::Limit {
            what: format!("an answer as one batch ({e})"),
            limit: "2 GiB of text in one column".to_owned(),
            help: "take it batch by batch".to_owned(),
        })
    }

    /// The next message; after the end, and after the end of the thread, there is none.
    fn receive(&mut self) -> Option<Message> {
        let message = self.messages.as_ref()?.recv().ok();
        if !matches!(message, Some(Message::Begin(_) | Message::Batch(_))) {
            self.messages = None;
            let ended = self.worker.take().map(JoinHandle::join);
            if let (None, Some(Err(panic))) = (&message, ended) {
                // A fault of the program goes on in the thread that asked, as if it had run there.
                std::panic::resume_unwind(panic);
            }
        }
        message
    }
}

impl Iterator for Rows {
    type Item = Result<Batch>;

    fn next(&mut self) -> Option<Result<Batch>> {
        loop {
            match self.receive()? {
                Message::Batch(batch) => return Some(Ok(batch)),
                Message::End(Err(error)) => return Some(Err(error)),
                Message::End(Ok(outcome)) => self.outcome = Some(outcome),
                Message::Begin(_) => {}
            }
        }
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.cancel.cancel();
        self.messages = None;
        // The lease is back when this returns.
        let _ = self.worker.take().map(JoinHandle::join);
    }
}
