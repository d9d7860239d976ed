// Style and script of the report. Apart from report.cpp, so that they can be read as what they are.
#pragma once

#include <string_view>

namespace agpnet::tools
{

constexpr std::string_view reportStyle = R"css(
:root{color-scheme:light dark;
 --paper:#fbfaf8;--card:#fff;--sunk:#f1efeb;--line:#e4e0d9;--ink:#22211f;--soft:#6b6760;
 --bad:#b5481b;--bad-tint:#fbeadf;--good:#2c6b8a;--good-tint:#e3eff5;--focus:#2c6b8a}
@media(prefers-color-scheme:dark){:root{
 --paper:#161718;--card:#1e2022;--sunk:#27292c;--line:#33363a;--ink:#e8e6e3;--soft:#9d9a94;
 --bad:#f29a6b;--bad-tint:#3d2a20;--good:#7fbfdc;--good-tint:#1f323c;--focus:#7fbfdc}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{margin:0;background:var(--paper);color:var(--ink);
 font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","Liberation Sans",sans-serif;
 font-variant-numeric:tabular-nums;-webkit-text-size-adjust:100%}
main,header{max-width:1560px;margin:0 auto;padding:0 clamp(16px,4vw,56px)}
header{padding-top:clamp(28px,5vw,64px)}
h1{font-size:clamp(26px,3.4vw,38px);line-height:1.15;letter-spacing:-.02em;font-weight:600;margin:0;overflow-wrap:anywhere}
.sub{color:var(--soft);font-size:17px;margin:8px 0 0;max-width:70ch}
.facts{display:flex;flex-wrap:wrap;gap:10px 36px;margin:24px 0 0;font-size:13px}
.facts div{min-width:0}
.facts dt{color:var(--soft)}
.facts dd{margin:0;overflow-wrap:anywhere}
.warnings{margin:24px 0 0;padding:12px 16px 12px 32px;background:var(--sunk);border-radius:10px;font-size:14px}
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:28px 24px;
 margin:36px 0 0;padding:28px 0 0;border-top:1px solid var(--line)}
.figures+.figures{margin-top:28px;padding-top:0;border-top:0}
.figures b{display:block;font-size:30px;line-height:1.15;font-weight:500;letter-spacing:-.02em}
.figures span{display:block;font-size:14px}
.figures small{display:block;color:var(--soft);font-size:12px;line-height:1.4}
h2{font-size:15px;font-weight:600;margin:0}
.row{display:grid;grid-template-columns:minmax(0,1.7fr) minmax(260px,1fr);gap:32px 56px;margin:48px 0 0}
@media(max-width:860px){.row{grid-template-columns:minmax(0,1fr)}}
.key{display:inline-flex;align-items:center;gap:7px;margin-right:18px;color:var(--soft);font-size:13px}
.key i{width:10px;height:10px;border-radius:3px}
.plot{position:relative;height:150px;margin:30px 0 0;display:flex;align-items:flex-end;border-bottom:1px solid var(--line)}
.plot>div{flex:1;height:100%;display:flex;flex-direction:column;justify-content:flex-end;padding:0 1px}
.plot>div>i{display:block;min-height:2px}
.plot>div>i:first-child{border-radius:2px 2px 0 0}
.bad{background:var(--bad)}.good{background:var(--good)}
.plot .cut{position:absolute;top:-6px;bottom:0;width:0;padding:0;border-left:1.5px dashed var(--ink)}
.plot .cut span{position:absolute;bottom:100%;left:0;transform:translateX(-50%);white-space:nowrap;font-size:12px}
.plot .cut.right span{transform:none;left:auto;right:0}.plot .cut.left span{transform:none}
.axis{position:relative;height:22px;font-size:12px;color:var(--soft)}
.axis span{position:absolute;top:5px;transform:translateX(-50%)}
.axis span:first-child{transform:none}.axis span.end{transform:translateX(-100%)}
.scale{height:14px;border-radius:4px;margin-top:30px}
.note{color:var(--soft);font-size:13px;margin:12px 0 0;max-width:60ch}
.note::first-letter{text-transform:uppercase}
.block{margin:48px 0 0}
.block .key{margin-top:12px}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,280px),1fr));gap:28px 40px;margin:14px 0 0}
.charts figure{margin:0;max-width:460px}
.charts figcaption{font-size:14px;padding-left:13%}
.chart{display:block;width:100%;height:auto}
.chart text{font-size:11px;fill:var(--soft)}
.chart .grid{stroke:var(--line)}
.chart .line{fill:none;stroke-width:2;stroke-linejoin:round}
.chart .line-a{stroke:var(--good)}.chart .line-b{stroke:var(--bad)}
.wide{overflow-x:auto;margin:10px 0 0}
table{border-collapse:collapse;font-size:14px;white-space:nowrap}
th,td{padding:6px 0 6px 28px;text-align:right;font-weight:400;border-bottom:1px solid var(--line)}
thead th{color:var(--soft);font-size:13px}
tr>:first-child{padding-left:0;text-align:left}
.tools{position:sticky;top:0;z-index:2;display:flex;flex-wrap:wrap;align-items:center;gap:10px 16px;
 margin:48px calc(-1*clamp(16px,4vw,56px)) 0;padding:12px clamp(16px,4vw,56px);
 background:var(--paper);border-bottom:1px solid var(--line)}
@media(max-width:700px){.tools{position:static}}
.seg{display:inline-flex;border:0;margin:0;padding:3px;background:var(--sunk);border-radius:9px;min-width:0;max-width:100%}
.seg label{position:relative;flex:0 1 auto}
.seg input{position:absolute;opacity:0;inset:0;margin:0}
.seg span{display:block;padding:5px 12px;border-radius:7px;font-size:13px;color:var(--soft);cursor:pointer;white-space:nowrap}
@media(max-width:480px){.seg span{padding:5px 8px}}
.seg input:checked+span{background:var(--card);color:var(--ink);box-shadow:0 1px 2px #0003}
.seg input:focus-visible+span{outline:2px solid var(--focus);outline-offset:1px}
.tools input[type=search],.tools select{font:inherit;font-size:13px;color:inherit;background:var(--card);
 border:1px solid var(--line);border-radius:8px;padding:6px 10px;min-width:0}
.tools input[type=search]{flex:1 1 150px;max-width:280px}
.tools output{font-size:13px;color:var(--soft);margin-left:auto}
:focus-visible{outline:2px solid var(--focus);outline-offset:2px}
.gallery{list-style:none;margin:28px 0 72px;padding:0;display:grid;gap:28px 24px;
 grid-template-columns:repeat(auto-fill,minmax(min(100%,var(--card-width)),1fr))}
.gallery{--card-width:400px}.gallery.two{--card-width:330px}.gallery.one{--card-width:200px}
@media(max-width:700px){.gallery.one{--card-width:150px;gap:20px 12px}}
.card{min-width:0;content-visibility:auto;contain-intrinsic-size:auto 220px}
.open{display:flex;gap:3px;width:100%;padding:0;border:0;background:none;cursor:zoom-in;border-radius:10px;overflow:hidden;font:inherit;color:inherit}
.open figure,.big figure{margin:0;flex:1 1 0;min-width:0}
.open img{display:block;width:100%;height:auto;aspect-ratio:1;object-fit:contain;background:var(--sunk)}
.open figcaption{display:none}
.seen-image .open figure:not(.image),.seen-heat .open figure:not(.heat),.seen-truth .open figure:not(.truth){display:none}
.seen-truth .card:not(:has(.truth)) .open figure.image{display:block}
.who{display:flex;align-items:baseline;gap:10px;margin-top:9px}
.who b{font-weight:500;font-size:14px;flex:1 1 auto;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;direction:rtl;text-align:left}
.who b bdi{direction:ltr;unicode-bidi:isolate}
.who data{font-size:16px;font-weight:600}
.bar{position:relative;height:4px;border-radius:2px;background:var(--sunk);margin-top:5px}
.bar i{position:absolute;inset:0 auto 0 0;border-radius:2px}
.bar u{position:absolute;top:-3px;bottom:-3px;width:1.5px;background:var(--ink)}
.tags{display:flex;flex-wrap:wrap;gap:4px 8px;align-items:center;margin-top:8px;font-size:12px;color:var(--soft)}
.tag{padding:1px 8px;border-radius:99px;font-weight:500}
.tag.is-bad{background:var(--bad-tint);color:var(--bad)}.tag.is-good{background:var(--good-tint);color:var(--good)}
.tag.wrong{box-shadow:inset 0 0 0 1px currentColor;color:var(--ink)}
.none{color:var(--soft);padding:48px 0 96px;text-align:center}
dialog{border:0;border-radius:16px;padding:24px;background:var(--card);color:var(--ink);width:min(1240px,calc(100vw - 32px));max-width:none;max-height:calc(100vh - 32px)}
dialog::backdrop{background:#000a}
.big{display:flex;gap:12px;margin:16px 0 0}
.big img{display:block;width:100%;height:auto;max-height:66vh;object-fit:contain;image-rendering:auto;border-radius:6px;background:var(--sunk)}
.big figcaption{font-size:13px;color:var(--soft);margin-top:6px;text-align:center}
@media(max-width:700px){.big{flex-direction:column}.big img{max-height:none}}
.bigger{display:flex;flex-wrap:wrap;gap:8px;align-items:center}.bigger h2{flex:1 1 240px;min-width:0;overflow-wrap:anywhere;font-size:17px}
.bigger button{font:inherit;font-size:14px;color:inherit;background:var(--sunk);border:0;border-radius:8px;padding:6px 12px;cursor:pointer}
.sr{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
@media print{.tools{display:none}.gallery{--card-width:300px}.card{break-inside:avoid}}
)css";

constexpr std::string_view reportScript = R"js(
(() => {
  'use strict';
  const all = (s, from = document) => [...from.querySelectorAll(s)];
  const one = s => document.querySelector(s);
  const gallery = one('.gallery'), cards = all('.card'), tools = one('.tools');
  tools.hidden = false;
  const show = () => {
    const view = one('[name=view]:checked').value, which = one('[name=which]:checked').value;
    const text = one('#text').value.trim().toLowerCase();
    for (const c of ['image', 'heat', 'truth']) gallery.classList.toggle('seen-' + c, view === c);
    gallery.classList.toggle('one', view !== 'all');
    let n = 0;
    for (const c of cards) {
      const fits = (which === 'all' || c.dataset.decision === which || (which === 'wrong' && 'wrong' in c.dataset)) &&
        c.dataset.text.toLowerCase().includes(text);
      c.hidden = !fits;
      n += fits;
    }
    one('#shown').textContent = n === cards.length ? `${n} images` : `${n} of ${cards.length} images`;
    one('.none').hidden = n > 0;
  };
  const order = () => {
    const by = one('#order').value;
    const names = new Intl.Collator(undefined, {numeric: true});
    cards.sort((a, b) => by === 'name' ? names.compare(a.dataset.name, b.dataset.name)
      : (by === 'low' ? 1 : -1) * (a.dataset.score - b.dataset.score));
    gallery.append(...cards);
  };
  tools.addEventListener('input', e => { if (e.target.id === 'order') order(); show(); });

  const box = one('dialog');
  let at = null;
  const open = card => {
    at = card;
    one('#big-name').textContent = card.dataset.name;
    one('#big-tags').replaceChildren(card.querySelector('data').cloneNode(true), ...all('.tags > *', card).map(t => t.cloneNode(true)));
    one('.big').replaceChildren(...all('figure', card).map(f => f.cloneNode(true)));
    if (!box.open) box.showModal();
  };
  const step = by => {
    const seen = cards.filter(c => !c.hidden), next = seen[seen.indexOf(at) + by];
    if (next) open(next);
  };
  gallery.addEventListener('click', e => { const b = e.target.closest('.open'); if (b) open(b.closest('.card')); });
  box.addEventListener('keydown', e => { if (e.key === 'ArrowRight') step(1); if (e.key === 'ArrowLeft') step(-1); });
  box.addEventListener('click', e => { if (e.target === box || e.target.closest('#close')) box.close(); });
  box.addEventListener('close', () => { const b = at?.querySelector('.open'); b?.focus(); b?.scrollIntoView({block: 'nearest'}); });
  one('#previous').addEventListener('click', () => step(-1));
  one('#next').addEventListener('click', () => step(1));
  show();
})();
)js";

} // namespace agpnet::tools
