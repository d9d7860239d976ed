// The page's behaviour: a threshold that can be dragged, a gallery that loads what is near the window, and an enlarged view.
// Everything comes from two kinds of blocks in the page: #data, JSON about all images, and one block of base64 an image, p0, p1, ...,
// with a line each for the picture (JPEG), the map (grey PNG) and the mask (PNG). Those are looked at when their image comes near.
'use strict';
(() => {
  const find = (selector, from = document) => from.querySelector(selector);
  const findAll = (selector, from = document) => [...from.querySelectorAll(selector)];
  const page = JSON.parse(find('#data').textContent);
  const items = page.items;

  // ---- decisions -------------------------------------------------------------------------------------------------------------------
  // The axis has scores, or where thresholds differ, scores over their threshold; then all thresholds move by one factor.
  const movable = page.cut !== null;
  let cut = page.cut;
  const factor = () => page.scales && movable ? cut / page.cut : 1;
  const mapFactor = () => page.map.scales ? factor() : 1; // the maps' thresholds move along
  const isBad = item => !movable || cut === page.cut ? item.bad : item.at > cut;
  const isWrong = item => item.label !== undefined && item.defective !== item.now;
  const onAxis = value => (value - page.axis[0]) / (page.axis[1] - page.axis[0]);
  const text = value => value.toFixed(page.decimals);

  const decisions = {
    all: () => true,
    bad: item => item.now,
    good: item => !item.now,
    missed: item => isWrong(item) && item.defective,
    alarm: item => isWrong(item) && !item.defective
  };

  const labelled = items.some(item => item.label !== undefined);
  for (const element of findAll('.labelled')) element.hidden = !labelled;

  const percentOf = (part, whole) => whole ? `${(100 * part / whole).toFixed(1)} %` : 'none there';
  const showCounts = () => {
    const count = which => items.filter(decisions[which]).length;
    for (const element of findAll('[data-count]')) element.textContent = count(element.dataset.count);
    const defective = items.filter(item => item.label !== undefined && item.defective).length;
    const good = items.filter(item => item.label !== undefined && !item.defective).length;
    const missed = count('missed'), alarms = count('alarm'), found = defective - missed;
    const rows = labelled
      ? [['found', `${found} of ${defective}`, percentOf(found, defective)], ['missed', missed, percentOf(missed, defective)],
        ['false positives', alarms, `${percentOf(alarms, good)} of ${good} good`]]
      : [['anomalous', `${count('bad')} of ${items.length}`, percentOf(count('bad'), items.length)]];
    find('#counts').replaceChildren(...rows.map(([name, value, note]) => {
      const row = document.createElement('div');
      for (const [tag, content] of [['dt', name], ['dd', value], ['dd', note]])
        row.appendChild(document.createElement(tag)).textContent = content;
      return row;
    }));
    let note = `Threshold ${text(cut)}${page.relative ? ' times that of each product' : ''}${cut === page.cut ? ', as inspected' : ''}.`;
    if (page.sensitivity && page.scales && cut > 0 && cut !== page.cut)
      note += ` The same decisions: --sensitivity ${(page.sensitivity / factor()).toPrecision(4)}.`;
    find('#threshold-note').textContent = note;
    find('#reset').disabled = cut === page.cut;
    if (defective && good) moveMarks(found / defective, alarms / good, found + alarms ? found / (found + alarms) : 1);
  };

  /// Where on the curves of images the threshold is.
  const moveMarks = (recall, alarmRate, precision) => {
    for (const mark of findAll('.here')) {
      const [x, y] = mark.dataset.curve === 'roc' ? [alarmRate, recall] : [recall, precision];
      const [x0, x1, y0, y1] = mark.dataset.axes.split(' ').map(Number);
      mark.setAttribute('cx', x0 + x * (x1 - x0));
      mark.setAttribute('cy', y0 + y * (y1 - y0));
    }
  };

  const handle = find('#threshold'), plot = find('#histogram');
  const moveThreshold = value => {
    cut = Math.min(page.axis[1], Math.max(page.axis[0], value));
    const share = onAxis(cut);
    handle.style.left = `${100 * share}%`;
    handle.classList.toggle('left', share < 0.12);
    handle.classList.toggle('right', share > 0.88);
    handle.firstElementChild.textContent = `threshold ${text(cut)}`;
    handle.setAttribute('aria-valuenow', cut);
    handle.setAttribute('aria-valuetext', text(cut));
    const onMap = find('#map-threshold');
    if (onMap && page.map.cut !== null) {
      const at = page.map.cut * mapFactor(), place = (at - page.map.low) / (page.map.high - page.map.low);
      onMap.style.left = `${100 * Math.min(1, Math.max(0, place))}%`;
      onMap.classList.toggle('left', place < 0.12);
      onMap.classList.toggle('right', place > 0.88);
      onMap.firstElementChild.textContent = `threshold ${at.toFixed(page.map.decimals)}`;
    }
    update();
  };

  const startThreshold = () => {
    const span = page.axis[1] - page.axis[0];
    const toPointer = event => {
      const box = plot.getBoundingClientRect();
      moveThreshold(page.axis[0] + (event.clientX - box.left) / box.width * span);
    };
    plot.addEventListener('pointerdown', event => {
      if (event.button !== 0) return;
      plot.setPointerCapture(event.pointerId);
      handle.focus({preventScroll: true});
      event.preventDefault(); // no selection of text
      if (!event.target.closest('#threshold')) toPointer(event); // a grip on the handle does not move it yet
    });
    plot.addEventListener('pointermove', event => { if (plot.hasPointerCapture(event.pointerId)) toPointer(event); });
    const steps = {ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 20, PageDown: -20};
    handle.addEventListener('keydown', event => {
      const step = steps[event.key] * span / (event.shiftKey ? 2000 : 200);
      if (event.key === 'Home') moveThreshold(page.axis[0]);
      else if (event.key === 'End') moveThreshold(page.axis[1]);
      else if (step) moveThreshold(cut + step);
      else return;
      event.preventDefault();
    });
    find('#reset').addEventListener('click', () => { moveThreshold(page.cut); handle.focus(); });
    find('.live').hidden = false;
  };

  // ---- pictures --------------------------------------------------------------------------------------------------------------------
  const colours = page.colours.match(/../g).map(digits => parseInt(digits, 16)); // red, green, blue of 256 levels
  const layers = {heat: 50, outline: true, truth: true};

  /// A canvas' pixel for each level of a stored map. Up to the middle of the slider high values cover the picture more and more, and low
  /// ones let it through; from there to the end everything is covered.
  const pixels = new Uint32Array(256);
  const fillPixels = () => {
    const bytes = new Uint8ClampedArray(pixels.buffer), slider = layers.heat / 100;
    for (let level = 0; level < 256; level++) {
      const share = Math.min(1, level / 255 * page.storedSpan); // a map is stored beyond the last colour
      const t = Math.min(1, Math.max(0, (share - 0.2) / 0.4)), half = 0.82 * t * t * (3 - 2 * t);
      const opacity = slider <= 0.5 ? 2 * slider * half : half + (2 * slider - 1) * (1 - half);
      const from = 3 * Math.round(255 * share);
      bytes.set([colours[from], colours[from + 1], colours[from + 2], 255 * opacity], 4 * level);
    }
  };

  /// The lines along which `values` (one byte a pixel) pass `limit`, as an SVG path; outside the picture they are 0.
  const outlineOf = (values, width, height, limit) => {
    const value = (x, y) => x < 0 || y < 0 || x >= width || y >= height ? 0 : values[y * width + x];
    const between = (a, b) => (limit - a) / (b - a);
    let path = '';
    for (let y = -1; y < height; y++)
      for (let x = -1; x < width; x++) {
        const a = value(x, y), b = value(x + 1, y), c = value(x + 1, y + 1), d = value(x, y + 1);
        const which = (a > limit) + 2 * (b > limit) + 4 * (c > limit) + 8 * (d > limit);
        if (which === 0 || which === 15) continue;
        // centres of pixels lie half a pixel from their corners
        const top = () => `${(x + 0.5 + between(a, b)).toFixed(2)} ${y + 0.5}`, bottom = () => `${(x + 0.5 + between(d, c)).toFixed(2)} ${y + 1.5}`;
        const left = () => `${x + 0.5} ${(y + 0.5 + between(a, d)).toFixed(2)}`, right = () => `${x + 1.5} ${(y + 0.5 + between(b, c)).toFixed(2)}`;
        const line = (from, to) => { path += `M${from()}L${to()}`; };
        if (which === 1 || which === 14) line(left, top);
        else if (which === 2 || which === 13) line(top, right);
        else if (which === 4 || which === 11) line(right, bottom);
        else if (which === 8 || which === 7) line(left, bottom);
        else if (which === 3 || which === 12) line(left, right);
        else if (which === 6 || which === 9) line(top, bottom);
        else { line(left, which === 5 ? top : bottom); line(right, which === 5 ? bottom : top); } // two corners, across
      }
    return path;
  };

  const svgElement = (name, attributes) => {
    const element = document.createElementNS('http://www.w3.org/2000/svg', name);
    for (const key in attributes) element.setAttribute(key, attributes[key]);
    return element;
  };

  const grey = async source => {
    const image = new Image();
    image.src = source;
    await image.decode();
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    const context = canvas.getContext('2d', {willReadFrequently: true});
    context.drawImage(image, 0, 0);
    const rgba = context.getImageData(0, 0, canvas.width, canvas.height).data;
    const values = new Uint8Array(rgba.length / 4);
    for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i];
    return {values, width: canvas.width, height: canvas.height};
  };

  /// What an image's block holds; null while the page has not come that far.
  const sourcesOf = item => {
    const block = document.getElementById(`p${item.index}`);
    if (!block) return null;
    const [image, map, mask] = block.textContent.trim().split('\n');
    const uri = (kind, base64) => base64 && base64 !== '-' ? `data:image/${kind};base64,${base64}` : '';
    return {image: uri('jpeg', image), map: uri('png', map), mask: uri('png', mask)};
  };

  /// The image with heat and outlines over it, as one element; draw() follows the settings.
  class Picture {
    constructor(item, sources, which = {image: true, heat: true, outline: true, truth: true}) {
      this.item = item;
      this.which = which;
      this.element = document.createElement('span');
      this.element.className = 'picture';
      this.element.style.aspectRatio = `${item.size[0]} / ${item.size[1]}`;
      this.element.classList.toggle('wide', item.size[0] >= item.size[1]);
      if (which.image || which.mask) {
        const image = this.element.appendChild(new Image(item.size[0], item.size[1]));
        image.alt = which.mask ? `${item.name}, true defect` : item.name;
        image.decoding = 'async';
        image.src = which.mask ? sources.mask : sources.image;
      }
      this.ready = this.load(sources);
    }
    async load(sources) {
      if (sources.map && this.which.heat) {
        this.map = await grey(sources.map);
        this.canvas = this.element.appendChild(document.createElement('canvas'));
        [this.canvas.width, this.canvas.height] = [this.map.width, this.map.height];
        this.found = this.addOutline(this.map, ['edge', 'line-found']);
      }
      if (sources.mask && this.which.truth) {
        const mask = await grey(sources.mask);
        this.truth = this.addOutline(mask, ['edge', 'line-truth']);
        const path = outlineOf(mask.values, mask.width, mask.height, 127.5);
        for (const line of this.truth.children) line.setAttribute('d', path);
      }
      this.draw();
    }
    addOutline(map, classes) {
      const svg = this.element.appendChild(svgElement('svg', {viewBox: `0 0 ${map.width} ${map.height}`, preserveAspectRatio: 'none', 'aria-hidden': true}));
      for (const name of classes) svg.append(svgElement('path', {class: name, 'vector-effect': 'non-scaling-stroke'}));
      return svg;
    }
    draw() {
      if (this.truth) this.truth.style.display = layers.truth ? '' : 'none';
      if (!this.map) return;
      const {values, width, height} = this.map, context = this.canvas.getContext('2d', {willReadFrequently: true}), target = context.createImageData(width, height);
      const words = new Uint32Array(target.data.buffer);
      for (let i = 0; i < values.length; i++) words[i] = pixels[values[i]];
      context.putImageData(target, 0, 0);
      const outlined = layers.outline && this.item.limit !== undefined;
      this.found.style.display = outlined ? '' : 'none';
      if (!outlined || this.limit === mapFactor()) return;
      this.limit = mapFactor();
      const path = outlineOf(values, width, height, this.item.limit * this.limit);
      for (const line of this.found.children) line.setAttribute('d', path);
    }
  }

  // ---- gallery ---------------------------------------------------------------------------------------------------------------------
  const gallery = find('#gallery'), tools = find('#tools');
  let shown = items; // in the order of the gallery
  let current = null; // the one that Tab reaches

  const labelOf = item => item.label === undefined ? 'not labelled' : item.label;
  const makeCard = item => {
    const card = find('#card').content.firstElementChild.cloneNode(true);
    card.item = item;
    item.card = card;
    find('.open', card).setAttribute('aria-label', `${item.name}, score ${item.score.toFixed(page.scoreDecimals)}`);
    find('b', card).title = item.name;
    find('bdi', card).textContent = item.name;
    const score = find('data', card);
    score.value = item.score;
    score.textContent = item.score.toFixed(page.scoreDecimals);
    find('.bar i', card).style.width = `${100 * onAxis(item.at)}%`;
    find('.bar u', card).hidden = !movable;
    find('.label', card).textContent = item.label === undefined ? '' : `labelled ${item.label}`;
    find('.time', card).textContent = item.ms === undefined ? '' : `${item.ms.toFixed(1)} ms`;
    return card;
  };

  const markCard = item => {
    const tag = find('.decision', item.card), wrong = find('.wrong', item.card);
    tag.textContent = item.now ? 'Anomalous' : 'Good';
    tag.className = `tag decision ${item.now ? 'is-bad' : 'is-good'}`;
    find('.bar i', item.card).className = item.now ? 'bad' : 'good';
    wrong.hidden = !isWrong(item);
    wrong.textContent = item.now ? 'False positive' : 'Missed';
  };

  /// Card by card, and of those near the window only: a style that all inherit would cost half a second with 2,000 of them.
  const placeCut = card => { find('.bar u', card).style.left = `${100 * onAxis(cut)}%`; };

  const apart = () => find('[name=view]:checked').value === 'apart';
  const load = card => {
    placeCut(card);
    if (card.pictures) return;
    const sources = sourcesOf(card.item);
    if (!sources) return; // tried again when the page is complete
    const sides = apart()
      ? [{image: true}, {image: true, heat: true}].concat(sources.mask ? {mask: true} : []) : [undefined];
    card.pictures = sides.map(which => new Picture(card.item, sources, which));
    find('.pictures', card).replaceChildren(...card.pictures.map(picture => {
      const frame = document.createElement('span');
      frame.className = 'frame';
      frame.append(picture.element);
      return frame;
    }));
  };
  const unload = card => {
    card.pictures = null;
    find('.pictures', card).replaceChildren();
  };
  const near = new Set();
  const watcher = new IntersectionObserver(entries => {
    for (const {target, isIntersecting} of entries) {
      near[isIntersecting ? 'add' : 'delete'](target);
      if (isIntersecting) load(target); else unload(target);
    }
  }, {rootMargin: '500px'});

  const makeFilters = () => {
    const fill = (select, name, values) => {
      select.hidden = values.length < 2;
      select.replaceChildren(new Option(name, ''), ...values.map(value => new Option(value, value)));
    };
    const names = new Intl.Collator(undefined, {numeric: true});
    const unique = of => [...new Set(items.map(of))].filter(value => value !== undefined).sort(names.compare);
    fill(find('#group'), 'All products', unique(item => item.group));
    fill(find('#label'), 'All classes', labelled ? unique(labelOf) : []);
    for (const element of findAll('.masked')) element.hidden = !items.some(item => item.masked);
    for (const element of findAll('.outlined')) element.hidden = !items.some(item => item.limit !== undefined);
  };

  const filter = () => {
    const decision = decisions[find('[name=decision]:checked').value], name = find('#text').value.trim().toLowerCase();
    const group = find('#group').value, label = find('#label').value;
    shown = [];
    for (const card of gallery.children) {
      const item = card.item;
      const fits = decision(item) && (!group || item.group === group) && (!label || labelOf(item) === label) && item.name.toLowerCase().includes(name);
      if (card.hidden === fits) card.hidden = !fits;
      if (fits) shown.push(item);
    }
    find('#shown').textContent = shown.length === items.length ? `${items.length} images` : `${shown.length} of ${items.length} images`;
    find('#none').hidden = shown.length > 0;
    if (!shown.includes(current)) reach(shown[0]);
  };

  const order = () => {
    const names = new Intl.Collator(undefined, {numeric: true}), by = find('#order').value;
    const compare = {high: (a, b) => b.at - a.at, low: (a, b) => a.at - b.at, name: (a, b) => names.compare(a.name, b.name)}[by];
    gallery.append(...[...items].sort(compare).map(item => item.card));
  };

  /// One stop for Tab in the whole gallery; from there arrow keys go on.
  const reach = item => {
    if (current) find('.open', current.card).tabIndex = -1;
    current = item ?? null;
    if (current) find('.open', current.card).tabIndex = 0;
  };

  gallery.addEventListener('keydown', event => {
    const columns = getComputedStyle(gallery).gridTemplateColumns.split(' ').length, at = shown.indexOf(event.target.closest('.card')?.item);
    const steps = {ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns, PageDown: 3 * columns, PageUp: -3 * columns,
      Home: -shown.length, End: shown.length};
    const step = steps[event.key];
    if (!step || at < 0) return;
    event.preventDefault();
    reach(shown[Math.min(shown.length - 1, Math.max(0, at + step))]);
    find('.open', current.card).focus();
  });
  gallery.addEventListener('click', event => {
    const card = event.target.closest('.open')?.closest('.card');
    if (card) open(card.item);
  });

  tools.addEventListener('submit', event => event.preventDefault());
  tools.addEventListener('input', event => {
    if (event.target.closest('.layers')) return;
    if (event.target.id === 'order') order();
    if (event.target.name === 'view') {
      gallery.classList.toggle('apart', apart());
      for (const card of near) { unload(card); load(card); }
    }
    filter();
  });
  for (const group of findAll('.layers'))
    group.addEventListener('input', () => {
      layers.heat = Number(find('.heat', group).value);
      layers.outline = find('.outline', group).checked;
      layers.truth = find('.truth', group).checked;
      for (const other of findAll('.layers')) {
        find('.heat', other).value = layers.heat;
        find('.outline', other).checked = layers.outline;
        find('.truth', other).checked = layers.truth;
      }
      fillPixels();
      redraw();
    });

  let due = false;
  const redraw = () => {
    if (due) return;
    due = true;
    requestAnimationFrame(() => {
      due = false;
      for (const card of near) {
        card.pictures?.forEach(picture => picture.draw());
        placeCut(card);
      }
      big?.draw();
    });
  };

  /// After the threshold moved.
  const update = () => {
    for (const item of items) {
      const bad = isBad(item);
      if (item.now === bad) continue;
      item.now = bad;
      markCard(item);
    }
    if (movable) showCounts();
    filter();
    redraw();
    if (box.open) showTags();
  };

  // ---- enlarged view ---------------------------------------------------------------------------------------------------------------
  const box = find('#box'), stage = find('#stage');
  let big = null, scale = 1;

  /// A button with `disabled` would lose the focus, and with it the keys.
  const disable = (button, off) => find(button).setAttribute('aria-disabled', off);
  const showTags = () => find('#big-tags').replaceChildren(find('data', big.item.card).cloneNode(true),
    ...findAll('.tags > *', big.item.card).map(tag => tag.cloneNode(true)));
  const open = item => {
    const sources = sourcesOf(item);
    if (!sources) return;
    reach(item);
    big = new Picture(item, sources);
    find('#big-name').textContent = item.name;
    showTags();
    stage.replaceChildren(big.element);
    if (!box.open) box.showModal();
    const at = shown.indexOf(item);
    disable('#previous', at <= 0);
    disable('#next', at === shown.length - 1);
    zoom(1);
  };
  const step = by => {
    const next = shown[shown.indexOf(big.item) + by];
    if (next) open(next);
  };

  /// Keeps in place what lies at (x, y) of the stage.
  const zoom = (to, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
    const [width, height] = big.item.size, fit = Math.min(stage.clientWidth / width, stage.clientHeight / height);
    const before = big.element.getBoundingClientRect(), frame = stage.getBoundingClientRect();
    const shareX = (x + frame.left - before.left) / before.width, shareY = (y + frame.top - before.top) / before.height;
    scale = Math.min(16, Math.max(1, to));
    big.element.style.width = `${Math.floor(width * fit * scale)}px`;
    big.element.style.height = `${Math.floor(height * fit * scale)}px`;
    stage.classList.toggle('moved', scale > 1);
    const after = big.element.getBoundingClientRect();
    stage.scrollLeft += after.left + shareX * after.width - frame.left - x;
    stage.scrollTop += after.top + shareY * after.height - frame.top - y;
    find('#scale').textContent = `${Math.round(100 * scale)} %`;
    disable('#smaller', scale === 1);
    disable('#fit', scale === 1);
    disable('#larger', scale === 16);
  };

  box.addEventListener('keydown', event => {
    const keys = {ArrowRight: () => step(1), ArrowLeft: () => step(-1), '+': () => zoom(scale * 1.5), '=': () => zoom(scale * 1.5),
      '-': () => zoom(scale / 1.5), 0: () => zoom(1)};
    const slides = event.target.type === 'range', moves = event.target === stage && scale > 1;
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey || (event.key.startsWith('Arrow') && (slides || moves))) return;
    event.preventDefault();
    keys[event.key]();
  });
  stage.addEventListener('wheel', event => {
    event.preventDefault();
    const frame = stage.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / (event.deltaMode ? 10 : 300)), event.clientX - frame.left, event.clientY - frame.top);
  }, {passive: false});
  stage.addEventListener('dblclick', event => {
    const frame = stage.getBoundingClientRect();
    zoom(scale > 1 ? 1 : 4, event.clientX - frame.left, event.clientY - frame.top);
  });
  stage.addEventListener('pointerdown', event => {
    if (event.pointerType === 'mouse' && event.button === 0) { // fingers scroll by themselves
      stage.setPointerCapture(event.pointerId);
      event.preventDefault();
      stage.focus();
    }
  });
  stage.addEventListener('pointermove', event => {
    if (stage.hasPointerCapture(event.pointerId)) stage.scrollBy(-event.movementX, -event.movementY);
  });
  for (const [id, action] of [['previous', () => step(-1)], ['next', () => step(1)], ['smaller', () => zoom(scale / 1.5)],
    ['larger', () => zoom(scale * 1.5)], ['fit', () => zoom(1)], ['close', () => box.close()]])
    find(`#${id}`).addEventListener('click', action);
  box.addEventListener('click', event => { if (event.target === box) box.close(); });
  box.addEventListener('close', () => {
    const button = find('.open', big.item.card);
    big = null;
    stage.replaceChildren();
    button.focus();
    button.scrollIntoView({block: 'nearest'});
  });
  window.addEventListener('resize', () => { if (big) zoom(scale); });

  // ---- start -----------------------------------------------------------------------------------------------------------------------
  items.forEach((item, index) => { item.index = index; });
  gallery.append(...items.map(makeCard));
  makeFilters();
  fillPixels();
  update();
  if (movable) startThreshold();
  tools.hidden = false;
  for (const item of items) watcher.observe(item.card);
  const loadNear = () => near.forEach(load);
  if (document.readyState === 'loading') {
    const timer = setInterval(loadNear, 50); // blocks come in one by one
    document.addEventListener('DOMContentLoaded', () => { clearInterval(timer); loadNear(); });
  }
})();
