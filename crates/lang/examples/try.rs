//! scratch
fn main() {
    let text = std::io::read_to_string(std::io::stdin()).unwrap();
    let p = backsight_lang::parse(&text);
    for d in &p.diagnostics { println!("{} {:?} {} {:?} {:?}", d.code, d.span, d.message, d.span.text(&text), d.help); }
    print!("{}", p.query.shape());
    println!("{}", backsight_lang::format(&p.query, &text));
}
